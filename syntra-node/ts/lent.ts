/** Rooms of the house written in JavaScript, as the engine calls them: a router, a ranker, a context builder, stores and a clock. */

import { fromEngine } from './convert'
import type { Choice, Clock, ContextBuilder, ContextInput, FleetModel, RankCandidate, Ranker, RankQuery, Reranker, RouteOutcome, RouteQuery, Router } from './rooms'

type Argument = { [key: string]: unknown }
type Method = (argument: Argument, signal: AbortSignal) => unknown
export type LentRoom = { [method: string]: Method }

/** What stands for an object of a room, and what the engine has to know of it. */
interface Room { lent: LentRoom; words: Argument }

function choice(given: Choice): Argument | string {
  if (typeof given === 'string') return given
  if (!('target' in given)) return { provider: given.provider, model: given.model, reason: given.reason }
  return { ...given.target, reason: given.reason }
}

function router(given: Router): Room {
  const lent: LentRoom = {
    plan: async ({ query, fleet }, signal) =>
      (await given.plan(fromEngine(query) as RouteQuery, fromEngine(fleet) as FleetModel[], { signal })).map(choice),
    observe: (outcome) => given.observe?.(fromEngine(outcome) as RouteOutcome),
  }
  return { lent, words: { observes: typeof given.observe === 'function' } }
}

function ranker(given: Ranker): Room {
  const rank: Method = ({ query, candidates }, signal) =>
    given.rank(fromEngine(query) as RankQuery, fromEngine(candidates) as RankCandidate[], { signal })
  return { lent: { rank }, words: { name: given.name ?? 'host', wants_topics: given.wantsTopics === true } }
}

function reranker(given: Reranker): Room {
  const rerank: Method = ({ question, texts }, signal) => given.rerank(question as string, texts as string[], { signal })
  return { lent: { rerank }, words: { name: given.name ?? 'host', depth: given.depth, weight: given.weight } }
}

function contextBuilder(given: ContextBuilder): Room {
  return { lent: { build: (input, signal) => given.build(fromEngine(input) as ContextInput, { signal }) }, words: {} }
}

function clock(given: Clock): Room {
  const tell: Method = async () => ({ now: await given.now(), monotonic: given.monotonic?.() })
  return { lent: { tell }, words: {} }
}

/** The arguments of each method of a store after the scope, and whether it need not be there. */
type Methods = { [method: string]: readonly string[] }
const MEMORY_STORE: Methods = {
  remember: ['items'], recall: ['strategy', 'query'], get: ['ids'], update: ['id', 'patch'], supersede: ['old', 'new'], forget: ['ids'],
  touch: ['ids', 'at'], list: ['filter', 'page'], stats: [], erase: [],
}
const MEMORY_STORE_MAY: Methods = {
  signals: ['ids', 'query'], speakers: [], replaced: ['ids', 'since', 'until'], missing_vectors: ['limit'], set_vectors: ['vectors'],
}
const THREAD_STORE: Methods = {
  create: ['id', 'title'], read: ['id'], list: ['offset', 'limit'], delete: ['id'], append: ['id', 'messages'],
  history: ['id', 'limit', 'before'], erase: [],
}
const THREAD_STORE_MAY: Methods = { append_or_create: ['id', 'messages'], summary: ['id'], set_summary: ['id', 'from', 'new'] }
/** Which of the arguments are times. */
const TIMES = new Set(['at', 'since', 'until'])

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function store(kind: string, given: object, must: Methods, may: Methods): Room {
  const methods = given as { [method: string]: ((...args: unknown[]) => unknown) | undefined }
  const lent: LentRoom = {}
  for (const [name, names] of Object.entries({ ...must, ...may })) {
    if (typeof methods[camel(name)] === 'function') {
      lent[name] = ({ scope, ...argument }, signal) => {
        const args = names.map((key) => (TIMES.has(key) ? new Date(argument[key] as string) : fromEngine(argument[key]) ?? undefined))
        return methods[camel(name)]?.(scope, ...args, { signal })
      }
    } else if (name in must) throw new TypeError(`a ${kind} needs a method ${camel(name)}`)
  }
  return { lent, words: { methods: Object.keys(may).filter((name) => name in lent) } }
}

const ROOMS: { [room: string]: { needs?: string; make: (given: never) => Room } } = {
  router: { needs: 'plan', make: router },
  ranker: { needs: 'rank', make: ranker },
  reranker: { needs: 'rerank', make: reranker },
  contextBuilder: { needs: 'build', make: contextBuilder },
  clock: { needs: 'now', make: clock },
  memoryStore: { make: (given: object) => store('memoryStore', given, MEMORY_STORE, MEMORY_STORE_MAY) },
  threadStore: { make: (given: object) => store('threadStore', given, THREAD_STORE, THREAD_STORE_MAY) },
}

/** The settings that take an object of a room. */
export const ROOM_NAMES = Object.keys(ROOMS)

/** What stands for the object given for `room`. */
export function lendRoom(room: string, given: object): Room {
  const known = ROOMS[room]
  if (known === undefined) throw new TypeError(`there is no room ${room}`)
  if (known.needs !== undefined && typeof (given as Argument)[known.needs] !== 'function') {
    throw new TypeError(`a ${room} needs a method ${known.needs}`)
  }
  return known.make(given as never)
}
