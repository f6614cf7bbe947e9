# Draws the rows to practise with (`source` "own, patterns", `practice`) from patterns.txt and slots.txt: python3 expand.py 3
import random,re,json,sys
random.seed(7)
slots={}
for l in open('slots.txt'):
    k,v=l.rstrip('\n').split('=',1); slots[k]=v.split('|')
names=re.compile(r'\b('+'|'.join(sorted(slots,key=len,reverse=True))+r')\b')
nm=re.compile('('+'|'.join(sorted(slots,key=len,reverse=True))+')(?![A-Z])')
def ex(s):
    while True:
        m=re.search(r'\{([^{}]*\|[^{}]*)\}',s)
        if not m: break
        s=s[:m.start()]+random.choice(m.group(1).split('|'))+s[m.end():]
    while True:
        m=nm.search(s)
        if not m: break
        s=s[:m.start()]+random.choice(slots[m.group(1)])+s[m.end():]
    s=re.sub(r' +',' ',s).strip(); s=re.sub(r' ([,.?!])',r'\1',s)
    return s
def mess(s):
    r=random.random()
    q=re.match(r'(?i)(what|who|when|where|why|how|is|are|do|does|did|can|which|will|has|have|should)\b',s)
    if r<.25 and q and not s.endswith('?'): s=s+'?'
    elif r<.35 and not re.search('[.?!:]$',s): s=s+'.'
    if random.random()<.3: s=s[0].upper()+s[1:]
    return s
seen=set();rows=[];mult=float(sys.argv[1]) if len(sys.argv)>1 else 1
it=None
for l in open('patterns.txt'):
    l=l.rstrip('\n')
    if not l: continue
    if l.startswith('## '): it=l[3:]; continue
    k,p=l.split(' ',1)
    n=0
    for _ in range(200):
        if n>=int(k)*mult: break
        t=ex(p); t=mess(t) if '\n' not in t else t
        if t.lower() in seen: continue
        seen.add(t.lower()); n+=1
        rows.append(dict(text=t,intent=it,source='own, patterns'))
for r in rows: print(json.dumps(r,ensure_ascii=False))
