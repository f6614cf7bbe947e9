/** The engine speaks snake_case JSON; JavaScript speaks camelCase, `Date` and `undefined`. What belongs to the user is left alone. */

/** Fields whose content is the user's or the provider's own. */
const OPAQUE = new Set(['metadata', 'arguments', 'parameters', 'schema', 'extra', 'opaque', 'json_schema', 'folders', 'learned', 'weights', 'regions', 'headers'])
/** Fields that hold a time. */
const TIMES = new Set([
  'started_at', 'said_at', 'created_at', 'updated_at', 'valid_from', 'valid_to', 'last_accessed', 'from', 'to', 'now',
  'first_said_at', 'last_said_at',
])
/** Fields whose [name, number] pairs become an object. */
const PAIRS = new Set(['by_type', 'signals', 'tokens', 'parts', 'spans'])
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/

type Json = { [key: string]: unknown }

/** `change`, of which each name is asked once: the names are few, those of the engine's and of the options. */
function known(change: (name: string) => string): (name: string) => string {
  const names = new Map<string, string>()
  return (name) => {
    let found = names.get(name)
    if (found === undefined) {
      found = change(name)
      if (names.size < 1024) names.set(name, found)
    }
    return found
  }
}

const camel = known((name) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()))
/** `camelCase` as the engine spells it. */
export const snake = known((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`))

function isPairs(name: string, value: unknown, parent: Json): value is [string, unknown][] {
  if (!PAIRS.has(name) || !Array.isArray(value)) return false
  // A message has parts too, those of a score stand beside it; a trace has spans too, those of a recall are pairs.
  if (value.length === 0) return name === 'parts' ? 'score' in parent : name !== 'spans' || 'before_dedup' in parent
  return value.every((pair) => Array.isArray(pair))
}

function fromSource(source: Json): Json {
  const file = source.bytes as { media_type: string; data: string } | undefined
  return file === undefined ? source : { data: Buffer.from(file.data, 'base64'), mediaType: file.media_type }
}

function toSource(kind: unknown, url: unknown, data: unknown, text: unknown, mediaType: unknown): Json {
  if (url !== undefined) return { url }
  if (text !== undefined) return { text }
  if (!(data instanceof Uint8Array)) throw new TypeError(`the ${String(kind)} needs a url or data (a Uint8Array)`)
  if (typeof mediaType !== 'string') throw new TypeError(`the data of the ${String(kind)} needs its mediaType, 'image/png' say`)
  return { bytes: { media_type: mediaType, data: toEngine(data) } }
}

/** What came from the engine, for JavaScript: `null` fields are absent. */
export function fromEngine(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromEngine)
  if (value === null || typeof value !== 'object') return value
  if ('source' in value && 'type' in value && (value.type === 'image' || value.type === 'document')) {
    const { source, ...rest } = value as Json
    return { ...(fromEngine(rest) as Json), ...fromSource(source as Json) }
  }
  const out: Json = {}
  for (const [name, item] of Object.entries(value)) {
    if (item === null) continue
    const key = camel(name)
    if (OPAQUE.has(name) || (name === 'signals' && !Array.isArray(item))) out[key] = item
    else if (TIMES.has(name) && typeof item === 'string' && TIME.test(item)) out[key] = new Date(item)
    else if (isPairs(name, item, value as Json)) out[key] = Object.fromEntries(item)
    else if ((name === 'finish' || name === 'reason') && typeof item === 'object' && 'other' in item) out[key] = item.other
    else out[key] = fromEngine(item)
  }
  return out
}

/** What JavaScript gives, for the engine: absent fields are left out. */
export function toEngine(value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>)
  if (Array.isArray(value)) return value.map(toEngine)
  if (value === null || typeof value !== 'object') return value
  if ('type' in value && (value.type === 'image' || value.type === 'document')) {
    const { url, data, text, mediaType, ...rest } = value as Json
    const plain = Object.entries(rest).filter(([, item]) => item !== undefined)
    return { ...Object.fromEntries(plain), source: toSource(value.type, url, data, text, mediaType) }
  }
  const out: Json = {}
  for (const [name, item] of Object.entries(value)) {
    if (item === undefined) continue
    const key = snake(name)
    out[key] = OPAQUE.has(key) ? item : toEngine(item)
  }
  return out
}
