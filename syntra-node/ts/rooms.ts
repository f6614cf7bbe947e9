/** Rooms of the house written in JavaScript. Any method may return a promise; `signal` fires when nobody waits for it any more. */

import type {
  Budget, ContextLine, Dropped, Erased, Filter, Intent, Memory, MemoryPatch, MemoryStats, Message, NewMemory, Page, QueryAnalysis, Remembered,
  RoutingStrategy, Scope, Strategy, Target, Thread, ThreadMessage, ThreadSummary,
} from './types'

type Maybe<T> = T | Promise<T>
interface Options { signal: AbortSignal }

/** What a question requires of a model, beside its window. */
export interface Needs { vision: boolean; tools: boolean; jsonSchema: boolean; reasoning: boolean; webSearch: boolean }
/** A question as a router sees it; `maxCost` is in nano-dollars, `pinned` the `provider/model` that the caller insists on. */
export interface RouteQuery {
  text: string
  intent: Intent
  confidence: number
  needs: Needs
  inputTokens: number
  outputTokens: number
  historyMessages: number
  organisation: string
  pinned?: string
  maxCost?: number
  /** Between the cheapest (0) and the best (1), where the question says so. */
  quality?: number
  /** How the models are to be put in order. */
  strategy: RoutingStrategy
}
/** A model that is configured, and how it has done lately; not `available` while it is known not to answer. */
export interface FleetModel {
  provider: string
  model: string
  available: boolean
  firstTokenMs?: number
  /** Of an answer after its first token. */
  tokensPerSecond?: number
  /** Tokens of the prompt that are likely to be in the provider's cache. */
  cachedTokens: number
  failureRate: number
  inFlight: number
}
/** How a call went; with a `score`, 0 to 1, where somebody said how good the answer was. */
export interface RouteOutcome {
  target: Target
  intent: Intent
  error?: string
  firstTokenMs?: number
  totalMs: number
  cost?: number
  score?: number
  /** What the answer came to without anybody saying it. */
  sign?: 'fine' | 'refused' | 'empty' | 'malformed' | 'asked_again'
  question: string
  inputTokens: number
  /** Tokens of the prompt that came out of the provider's cache. */
  cachedInputTokens?: number
  /** Tokens of the answer, thinking included. */
  outputTokens?: number
  organisation: string
}
/** `provider/model`, or the two, with a reason or without. */
export type Choice = string | (Target & { reason?: string }) | { target: Target; reason?: string }
/** Chooses models: those of `fleet` to try, best first. What `observe` throws is not heard. */
export interface Router {
  plan(query: RouteQuery, fleet: FleetModel[], options: Options): Maybe<Choice[]>
  observe?(outcome: RouteOutcome): void
}

/** What a ranker knows of the question; `limit` is how many of the best are wanted. */
export interface RankQuery { text: string; analysis: QueryAnalysis; now: Date; limit: number }
/** A memory that some strategy found. A signal that is not there is absent, not zero. */
export interface RankCandidate { id: string; foundBy: Strategy[]; signals: { [signal: string]: number } }
/** A candidate with its score; `parts` are what each signal contributed, and their sum is the score where none is given. */
export type Scored = [id: string, score: number] | { id: string; score?: number; parts?: { [signal: string]: number } }
/** Puts candidates in order: gets all of them in one call and returns those worth having, scored. */
export interface Ranker {
  /** For traces. */
  name?: string
  /** Whether it wants the signal `topic`. */
  wantsTopics?: boolean
  rank(query: RankQuery, candidates: RankCandidate[], options: Options): Maybe<Scored[]>
}

/**
 * Reads the question and the best of what was recalled together, with a cross-encoder say: gets all texts in one call and returns a number
 * for each, the higher the better it fits. Where it fails, the ranking stays and `rerank` of the recall says so.
 */
export interface Reranker {
  /** For traces. */
  name?: string
  /** How many of the best it reads; 20 where nothing is said. */
  depth?: number
  /** What it adds to the score of the one that fits best; 1 where nothing is said. */
  weight?: number
  rerank(question: string, texts: string[], options: Options): Maybe<number[]>
}

/** What is known of an entity of the question, in one line, and the ids of the memories that it is known from. */
export interface EntityLine { text: string; sources: string[] }
/** What a context is built from; tokens are counted as the model that is likely to answer counts them. */
export interface ContextInput {
  system: string
  systemTokens: number
  /** Best first. */
  memories: { memory: Memory; score: number; tokens: number }[]
  entities: EntityLine[]
  summary?: string
  /** The conversation before the current message, oldest first. */
  history: Message[]
  historyTokens: number[]
  current: Message
  currentTokens: number
  budget: Budget
  /** The tokenizer's name, and whether its count is the model's own. */
  counter: string
  counterExact: boolean
  now: Date
}
/** The messages to send, the current one last, and where what is in them is from. */
export type BuiltContext =
  | Message[]
  | { messages: Message[]; lines?: (Partial<ContextLine> & Pick<ContextLine, 'section'>)[]; dropped?: (Partial<Dropped> & Pick<Dropped, 'section' | 'reason'>)[] }
/** Fits what is known into what the model can take. */
export interface ContextBuilder { build(input: ContextInput, options: Options): Maybe<BuiltContext> }

/** What is looked for; `vector` has unit length and is absent where the vector strategy is left out. */
export interface SearchQuery { text: string; analysis: QueryAnalysis; vector?: number[]; filter: Filter; now: Date; limit: number; topics: boolean }
/** An id, an id with a score, or an id with its signals. */
export type Found = string | [id: string, score: number] | { id: string; signals?: { [signal: string]: number } }
/** A vector for a memory that is there already; it is for its `text` as it was then. */
export interface NewVector { id: string; text: string; vector: number[] }
/**
 * Keeps memories. Every method names the scope and never touches anything outside it. What is there already is a duplicate. Throw a
 * `NotFoundError`, `ConflictError` or `InvalidInputError` where the contract says so; anything else means that the store failed.
 */
export interface MemoryStore {
  remember(scope: Scope, items: NewMemory[], options: Options): Maybe<(Remembered | string)[]>
  /** What one strategy finds, best first. */
  recall(scope: Scope, strategy: Strategy, query: SearchQuery, options: Options): Maybe<Found[]>
  get(scope: Scope, ids: string[], options: Options): Maybe<Memory[]>
  update(scope: Scope, id: string, patch: MemoryPatch, options: Options): Maybe<Memory>
  supersede(scope: Scope, old: string, item: NewMemory, options: Options): Maybe<Remembered | string>
  forget(scope: Scope, ids: string[], options: Options): Maybe<number>
  touch(scope: Scope, ids: string[], at: Date, options: Options): Maybe<void>
  list(scope: Scope, filter: Filter, page: Required<Page>, options: Options): Maybe<Memory[]>
  stats(scope: Scope, options: Options): Maybe<MemoryStats>
  erase(scope: Scope, options: Options): Maybe<Erased>
  signals?(scope: Scope, ids: string[], query: SearchQuery, options: Options): Maybe<Found[]>
  speakers?(scope: Scope, options: Options): Maybe<string[]>
  /** What held at some time from `since` to before `until` and was replaced by one of `ids`: with that id, the latest of an id first. */
  replaced?(scope: Scope, ids: string[], since: Date, until: Date, options: Options): Maybe<[id: string, memory: Memory][]>
  missingVectors?(scope: Scope, limit: number, options: Options): Maybe<Memory[]>
  setVectors?(scope: Scope, vectors: NewVector[], options: Options): Maybe<number>
}

/** A message to be appended; the store makes an id where there is none. */
export interface NewThreadMessage { id?: string; message: Message; metadata: { [key: string]: unknown } }
/** Keeps threads. `append` writes the messages together, in places counted from 0 without gaps. */
export interface ThreadStore {
  create(scope: Scope, id: string | undefined, title: string | undefined, options: Options): Maybe<Thread>
  read(scope: Scope, id: string, options: Options): Maybe<Thread>
  list(scope: Scope, offset: number, limit: number, options: Options): Maybe<Thread[]>
  delete(scope: Scope, id: string, options: Options): Maybe<boolean>
  append(scope: Scope, id: string, messages: NewThreadMessage[], options: Options): Maybe<ThreadMessage[]>
  history(scope: Scope, id: string, limit: number, before: number | undefined, options: Options): Maybe<ThreadMessage[]>
  erase(scope: Scope, options: Options): Maybe<number>
  appendOrCreate?(scope: Scope, id: string, messages: NewThreadMessage[], options: Options): Maybe<ThreadMessage[]>
  summary?(scope: Scope, id: string, options: Options): Maybe<ThreadSummary | undefined>
  /** Keeps `summary` in place of the one that covers `from` messages; whether it was kept. */
  setSummary?(scope: Scope, id: string, from: number, summary: ThreadSummary, options: Options): Maybe<boolean>
}

/**
 * Tells the time. It is asked at the beginning of each call and each read of a stream. Durations are the machine's; `monotonic`
 * (seconds) makes them jump ahead with it, as tests want.
 */
export interface Clock { now(): Maybe<Date>; monotonic?(): number }
