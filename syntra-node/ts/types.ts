/** What goes in and what comes out. Times are `Date`s; what is absent is `undefined`, never zero; costs are nano-dollars. */

import type { Clock, ContextBuilder, MemoryStore, Ranker, Reranker, Router, ThreadStore } from './rooms'

export type MemoryType = 'profile' | 'semantic' | 'episodic' | 'procedural'
export type Role = 'system' | 'user' | 'assistant' | 'tool'
/** What a question is about, as the router sees it. */
export type Intent =
  | 'social_chat' | 'qa_retrieval' | 'coding_help' | 'editing_writing' | 'reasoning_math' | 'web_search' | 'shopping' | 'vision'
/** Where in a context something stands. */
export type Section = 'system' | 'profile' | 'semantic' | 'episodic' | 'procedural' | 'entities' | 'history' | 'current'
export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high'
export type Json = { [key: string]: unknown }

/** The organisation and the user on whose behalf something is read or written. There is no default: every call names one. */
export interface Scope {
  org: string
  user: string
}

export interface TextPart { type: 'text'; text: string }
/** A picture: a `url` that the provider fetches, or the file's `data` with its `mediaType`. */
export interface ImagePart { type: 'image'; url?: string; data?: Uint8Array; mediaType?: string; detail?: string }
/** A document handed to the model as such: `text`, a `url`, or the file's `data` with its `mediaType`. */
export interface DocumentPart { type: 'document'; text?: string; url?: string; data?: Uint8Array; mediaType?: string; title?: string }
/** A call that the model asks the application to make. */
export interface ToolCall { id: string; name: string; arguments: Json; signature?: string }
/** What a tool answered to a {@link ToolCall}. */
export interface ToolResult { callId: string; name?: string; content: string; isError?: boolean }
export interface Reasoning { text: string; opaque?: unknown }
export type ToolCallPart = { type: 'tool_call' } & ToolCall
export type ToolResultPart = { type: 'tool_result' } & ToolResult
export type ReasoningPart = { type: 'reasoning' } & Reasoning
export type Part = TextPart | ImagePart | DocumentPart | ToolCallPart | ToolResultPart | ReasoningPart

/** One message of a conversation: a role and its parts in order. */
export interface Message { role: Role; parts: Part[]; name?: string }

/** A tool that the model may call; `parameters` is the JSON schema of its arguments. */
export interface Tool { name: string; description?: string; parameters: Json }
/** A source that an answer leans on: a URL, or the id of a memory. */
export interface Citation { url: string; title?: string; snippet?: string }
/** Tokens and money of one call or several. */
export interface Usage {
  inputTokens?: number
  outputTokens?: number
  cachedInputTokens?: number
  cacheWriteTokens?: number
  reasoningTokens?: number
  providerCost?: number
  estimated: boolean
}

/** One request to one model, as a provider of your own gets it. */
export interface Request {
  model: string
  messages: Message[]
  tools?: Tool[]
  toolChoice?: 'auto' | 'none' | 'required' | { named: string }
  output?: 'text' | 'json' | { jsonSchema: Json }
  temperature?: number
  topP?: number
  maxTokens?: number
  stop?: string[]
  seed?: number
  reasoning?: ReasoningEffort
  cachePrefix?: boolean
  extra?: Json
}

/** One whole answer of one model. */
export interface Response {
  id?: string
  model?: string
  message: Message
  finish: string
  usage: Usage
  citations: Citation[]
  refusal?: string
}

/** Where in a document a memory is from. */
export interface MemorySource { document: string; lineFrom?: number; lineTo?: number }

/** What can be said of something to remember, beside its text. */
export interface MemoryOptions {
  /** Default `semantic`. */
  kind?: MemoryType
  /** An id of the caller's, which makes writing it twice harmless. */
  id?: string
  title?: string
  speaker?: string
  role?: Role
  conversation?: string
  saidAt?: Date
  source?: MemorySource
  reliability?: number
  metadata?: Json
}

/** Something to remember. */
export interface NewMemory extends MemoryOptions { text: string; vector?: number[] | Float32Array }

/** A remembered thing. */
export interface Memory {
  id: string
  kind: MemoryType
  text: string
  title?: string
  speaker?: string
  role?: Role
  conversation?: string
  saidAt: Date
  createdAt: Date
  validFrom: Date
  validTo?: Date
  supersededBy?: string
  source?: MemorySource
  reliability?: number
  accessCount: number
  lastAccessed?: Date
  metadata: Json
}

export interface Remembered { id: string; outcome: 'created' | 'duplicate' | 'superseded' }
/** Changes to a memory; what is absent stays as it is, a `null` inside `metadata` removes that entry. */
export interface MemoryPatch { text?: string; vector?: number[] | Float32Array; title?: string; reliability?: number; metadata?: Json }

/** What a search is narrowed to; `to` is exclusive. */
export interface Filter { kinds?: MemoryType[]; conversation?: string; from?: Date; to?: Date }
export interface Page { offset?: number; limit?: number }

/** A memory in its place: `parts` are what each signal contributed to `score`. */
export interface RecalledMemory { memory: Memory; score: number; parts: { [signal: string]: number }; foundBy: Strategy[] }
export type Strategy = 'vector' | 'keyword' | 'graph' | 'profile' | 'recent'
/** What became of reading the best memories again; `error` says how it failed, the order is the ranker's then. */
export interface RerankReport { name: string; read: number; elapsedUs: number; error?: Json }
export interface StrategyReport { strategy: Strategy; found: number; elapsedUs: number; error?: Json }
/** What memory knows of somebody or something that a question names, by who is named in what. */
export interface EntityFact {
  name: string
  aliases: string[]
  memories: number
  /** How many of them there are of each type. */
  kinds: { [kind in MemoryType]?: number }
  /** Other names in the same memories. */
  related: string[]
  firstSaidAt?: Date
  lastSaidAt?: Date
  /** The ids of the memories that are about it the most. */
  sources: string[]
}
/** What memory has on a question, best first. */
export interface Recall {
  items: RecalledMemory[]
  /** What is known of whom and what the question names, with `graph` among the strategies. */
  entities: EntityFact[]
  strategies: StrategyReport[]
  /** What became of reading the best again, where a reranker is set. */
  rerank?: RerankReport
  analysis: QueryAnalysis
  /** How many candidates the strategies found together, and how many of them were different ones. */
  beforeDedup: number
  afterDedup: number
  /** Microseconds of each step. */
  spans: { [step: string]: number }
}
export interface MemoryStats { byType: { [kind in MemoryType]?: number }; total: number; superseded: number; withVector: number; withOtherVector: number }
export interface Erased { memories: number; vectors: number; messages: number }

export interface Thread { id: string; title?: string; createdAt: Date; updatedAt: Date; messages: number }
/** A message in its place, counted from 0 without gaps. */
export interface ThreadMessage { id: string; place: number; message: Message; createdAt: Date; metadata: Json }

/** A model at a provider. */
export interface Target { provider: string; model: string }
export interface CandidateReport {
  target: Target
  standing: 'chosen' | 'fallback' | 'excluded'
  rank?: number
  predictedQuality?: number
  qualitySource?: string
  estimatedCost?: number
  /** Tokens of the prompt that are expected to come out of the provider's cache, which is in the cost. */
  cachedTokens?: number
  expectedFirstTokenMs?: number
  /** To the end of an answer of the predicted length; where first token and tokens per second were both seen. */
  expectedLatencyMs?: number
  tokensPerSecond?: number
  contextWindow?: number
  reason: string
}
/** One target to be tried, and why. */
export interface Planned { target: Target; reason: string }
/** An ordered choice of models with its reasons; `explanation` says it in words. */
export interface Plan {
  order: Planned[]
  candidates: CandidateReport[]
  intent: Intent
  confidence: number
  /** How the candidates were put in order. */
  strategy: RoutingStrategy
  /** The arms of experiments that it was made for. */
  experiments: ExperimentArm[]
  explanation: string
}

/** A stretch of time that a question speaks of; `to` is exclusive. */
export interface TimeRange { phrase: string; from: Date; to: Date; yearly: boolean }
/** What was understood of a question. */
export interface QueryAnalysis {
  intent: 'conversation' | 'question' | 'recall' | 'command'
  keywords: string[]
  entities: string[]
  time?: TimeRange
  aboutNow: boolean
  asksWhen: boolean
  asksFor?: 'name' | 'number'
  needsMemory: boolean
  memoryTypes: MemoryType[]
  exact: string[]
}

/** A recalled memory with its score and what each signal contributed. */
export interface TracedMemory {
  id: string
  kind: MemoryType
  snippet: string
  source?: string
  score: number
  parts: { [signal: string]: number }
  foundBy: Strategy[]
}
/** What the older messages of a thread said; `covered` is how many, from the thread's first. */
export interface ThreadSummary { covered: number; text?: string }
/** One line of the context and where it is from; `label` is the number by which an answer can cite it. */
export interface ContextLine {
  section: Section
  label?: number
  memoryId?: string
  tokens: number
  /** What it says, where no memory or message is there to be looked up: entity lines and the summary. */
  text?: string
  /** The memories that an entity line is known from. */
  sources: string[]
}
/** Something that was left out of the context, and why. */
export interface Dropped { section: Section; memoryId?: string; tokens: number; reason: string }
/** One call and how it went. */
export interface AttemptRecord {
  target: Target
  error?: string
  message?: string
  firstTokenMs?: number
  elapsedMs: number
  usage: Usage
  /** Whether it read along with an identical call in flight, which bears the cost. */
  shared: boolean
  /** Whether it was begun beside another that was slow. */
  hedge: boolean
  /** Whether it went on from text that another attempt had shown before it failed. */
  resumed: boolean
  /** Whether it gave an answer again that was given before: nothing was sent, and it is free. */
  cached: boolean
  /** The similarity, up to 1, of the questions where a cached answer was found by meaning. */
  similarity?: number
}
/** A phase of a turn; times in microseconds from its beginning. */
export interface Span { name: string; startUs: number; elapsedUs: number }
/** A call of a tool that a turn ran; `error` says why it failed, as the model was told. */
export interface ToolRun { name: string; callId: string; elapsedMs: number; error?: string }
/** Everything that a turn decided, and why; `explanation` says it in words. */
export interface Trace {
  turnId: string
  threadId: string
  startedAt: Date
  analysis?: QueryAnalysis
  rewritten?: string
  recalled: TracedMemory[]
  strategies: StrategyReport[]
  /** What became of reading the best of what was recalled again, where a reranker is set. */
  rerank?: RerankReport
  /** What is older in the thread than the messages that were read back word for word. */
  summary?: ThreadSummary
  context: ContextLine[]
  dropped: Dropped[]
  tokens: { [section: string]: number }
  promptTokens: number
  counter?: [name: string, exact: boolean]
  plan?: Omit<Plan, 'explanation'>
  attempts: AttemptRecord[]
  /** Answers that were no good, and who was asked instead. */
  escalations: Escalation[]
  /** Calls of the assistant's own tools. */
  tools: ToolRun[]
  usage: Usage
  cost?: number
  degraded: boolean
  error?: Json
  warnings: string[]
  spans: Span[]
  explanation: string
}

/** How a turn ended. */
export interface Answered {
  messageId: string
  threadId: string
  turnId: string
  /** Absent when the answer is quoted from memory. */
  provider?: string
  model?: string
  /** True when no model answered and the text was taken from memory. */
  degraded: boolean
  /** True when the answer was given before and came from the cache. */
  cached: boolean
  usage: Usage
  cost?: number
  elapsedMs: number
  firstTokenMs?: number
}

/** The assistant's whole answer. */
export interface Answer extends Answered {
  text: string
  reasoning: string
  toolCalls: ToolCall[]
  citations: Citation[]
  refusal?: string
  finish: string
  message: Message
  trace: Trace
}

export interface RecalledItem { id: string; snippet: string; score: number; source?: string }

/** One event of a turn's stream. The last is `done`; a turn that fails throws instead. */
export type Event =
  | { type: 'started'; id?: string; model?: string }
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string; opaque?: unknown }
  | ToolCallPart
  | { type: 'refusal'; text: string }
  | ({ type: 'citation' } & Citation)
  | ({ type: 'usage' } & Usage)
  | { type: 'finish'; reason: string }
  | { type: 'recalled'; items: RecalledItem[] }
  | { type: 'routed'; provider: string; model: string; reason: string }
  | { type: 'thinking'; content: string }
  | { type: 'searching'; queries: string[] }
  | { type: 'node'; name: string; status: 'started' | 'finished' | 'failed' }
  | { type: 'restart'; reason: string }
  | ({ type: 'done' } & Answered)

export interface TokenCount { tokens: number; exact: boolean }
/** How a model has done lately. */
export interface ModelHealth {
  model: string
  available: boolean
  firstTokenMs?: number
  /** Of an answer after its first token. */
  tokensPerSecond?: number
  failureRate: number
  /** Calls on their way, over all keys. */
  inFlight: number
  /** Each key of its provider: one, where the provider has none or one. */
  keys: ModelKey[]
}
/** Where one key of a model stands: its breaker and its pace. Times in milliseconds. */
export interface ModelKey {
  /** The key's fingerprint, which says nothing about the key; empty where there is none. */
  keyId: string
  /** `half_open`: the next call, or the one on its way, finds out whether the model is back. */
  breaker: 'closed' | 'open' | 'half_open'
  /** How long until the breaker lets a call through; 0 where it does now. */
  closedForMs: number
  firstTokenMs?: number
  /** Of an answer after its first token. */
  tokensPerSecond?: number
  failureRate: number
  inFlight: number
  /** Calls that wait for the pace. */
  waiting: number
  /** Calls a second that the pace lets through now; absent for no limit. */
  requestsPerSecond?: number
  /** How long the next call would have to wait for the pace. */
  waitMs: number
}
/** A report on store, embedder and models. */
export interface Health { ready: boolean; storeError?: string; embedder: string; models: ModelHealth[] }
/** How far an index has come: `path` is the file that is being read, absent at the end. */
export interface Progress { done: number; total: number; path?: string; chunks: number }
/** What is indexed: files, chunks, and chunks by folder. */
export interface DocumentStats { documents: number; chunks: number; folders: { [folder: string]: number } }
/** A file that was left out or lost something, and why. */
export interface Skipped { path: string; reason: string }
/** What indexing a folder did, in files and in chunks. */
export interface IndexReport {
  new: number
  changed: number
  unchanged: number
  gone: number
  chunksWritten: number
  chunksRemoved: number
  skipped: Skipped[]
  notes: Skipped[]
}

/** Can be stopped from outside. */
export interface Abortable { signal?: AbortSignal }

/** Options of a question. */
export interface AskOptions extends Abortable {
  /** The thread it belongs to; created if it is not there. A new one where there is none. */
  thread?: string
  /** The conversation so far, oldest first, where you keep it yourself: it takes the place of a thread, and nothing is written to one. */
  history?: Message[]
  /** `provider/model` that must answer. */
  model?: string
  /** Instructions for this turn, after the persona's own. */
  instructions?: string
  /** Pictures to look at. */
  images?: Omit<ImagePart, 'type'>[]
  /** Documents handed to the model as such. */
  documents?: Omit<DocumentPart, 'type'>[]
  /** Answers to the tool calls of the turn before; the question is then left empty. */
  toolResults?: ToolResult[]
  /** Tools that the model may call and that you run: see `toolCalls` of the answer. */
  tools?: Tool[]
  /** How many times in a row calls of the assistant's own tools are run; 0 keeps them from the model. */
  maxToolRounds?: number
  /** `auto`, `none`, `required`, or the tool that has to be called. */
  toolChoice?: 'auto' | 'none' | 'required' | { named: string }
  /** JSON schema that the answer must follow. */
  jsonSchema?: Json
  /** The schema's name. */
  jsonSchemaName?: string
  /** Any JSON object as answer. */
  json?: boolean
  /** 0 to 2. */
  temperature?: number
  maxTokens?: number
  stop?: string[]
  seed?: number
  reasoning?: ReasoningEffort
  /** Provider fields passed through untouched. */
  extra?: Json
  /** The most the call may cost, in dollars; dearer models are left out. */
  maxCostUsd?: number
  /** What is allowed and wanted of the choice of a model for this question, beside what holds for all. */
  policy?: RoutingPolicy
  /** Whether memory is recalled. Default true. */
  recall?: boolean
  /** Whether the exchange is remembered. Default true. */
  remember?: boolean
  recallLimit?: number
  /** The time of asking, where it is not now. */
  now?: Date
  /** What happens when the stream fails after some of the answer was shown; as the assistant was set up by default. */
  recovery?: Recovery
  /** How long the turn may take in seconds; as the assistant was set up by default. */
  deadline?: number
  /** Whether an answer that was given before will do, where there is a cache. Default true. */
  cache?: boolean
}

/**
 * What happens when a stream fails after some of the answer was shown: a model that can goes on from that text, and where none can
 * there is an error (`resume`, the default) or an event `restart`, on which what was shown has to be cleared, and a new answer
 * (`resume_or_restart`); or there is an error at once (`fail`).
 */
export type Recovery = 'resume' | 'resume_or_restart' | 'fail'
/** When a second model is called beside a first that has not answered yet, and how often at the most. */
export interface HedgePolicy {
  /** Seconds without content before a second model is called; by default the time within which 19 of 20 of the model's last calls had begun. */
  after?: number
  /** The most calls that this may add, as a share of the others, 0 to 1. Default 0.05. */
  mostShare?: number
}

export interface Budget {
  profile?: number
  semantic?: number
  episodic?: number
  procedural?: number
  entities?: number
  history?: number
  total?: number
  /** The most tokens of the whole prompt. */
  window?: number
}
export interface Persona { name?: string; tone?: string; instructions?: string }
/** How often and how patiently models are called; times in seconds. */
export interface RetryPolicy { maxAttempts?: number; maxPerTarget?: number; backoff?: number; maxWait?: number }

/**
 * How the models that can answer are put in order: expected quality against cost and latency (`balanced`, the default), by one of these alone, in
 * turns, drawn by weight, or from the cheapest up as far as an answer is no good (`ladder`).
 */
export type RoutingStrategy = 'balanced' | 'cheapest' | 'fastest' | 'best' | 'round_robin' | 'weighted' | 'ladder'
/**
 * What is allowed and wanted of the choice of a model: for everybody, an organisation or one question. What any of these forbids is forbidden; of
 * the rest the more particular one decides. A pattern names models: `provider/model`, with `*` for any run of characters; one without `/` names
 * a whole provider.
 */
export interface RoutingPolicy {
  /** How the models that can answer are put in order. */
  strategy?: RoutingStrategy
  /** Between the cheapest (0) and the best (1), for `balanced`. */
  quality?: number
  /** Patterns of the models that may be called; all where there is none. */
  allow?: string[]
  /** Patterns of the models that may not be called. */
  deny?: string[]
  /** Regions in which the data may be worked on, see the setting `regions`; all where there is none. */
  residency?: string[]
  /** The most that one call may cost, in dollars. */
  maxCostUsd?: number
  /** By pattern, how often a model is drawn by `weighted`; 1 for those that none names. */
  weights?: { [pattern: string]: number }
  /** Whether an answer that is refused, empty or against its JSON schema is asked of a stronger model. It is by default. */
  escalate?: boolean
}

/** The arm of an experiment that a turn was in; `diverted` where the user's own was ended by a guard-rail, and this is the first. */
export interface ExperimentArm { experiment: string; arm: string; diverted: boolean }
/** A turn that went on to a stronger model; `why` is `refused`, `empty` or `malformed`. */
export interface Escalation { from: Target; to: Target; why: string }
/** One way to choose a model, for a share of the users: its `weight` (default 1) against the sum over all arms. */
export interface Arm { name: string; weight?: number; policy?: RoutingPolicy }
/** Limits of what may become of an arm, of means over its turns. */
export interface GuardRails { minScore?: number; maxBadRate?: number; maxCostUsd?: number; maxFirstTokenMs?: number }
/** A named experiment; each user is in one arm and stays there. The first is the one that the others are compared with. */
export interface Experiment {
  name: string
  arms: Arm[]
  /** What the arms but the first must keep to; one whose interval lies wholly beyond a limit is ended, and its users go to the first. */
  guardRails?: GuardRails
  /** The chance, over all time, that a difference which is reported is one. Default 0.95. */
  confidence?: number
}
/** A mean of `count` numbers, and between which limits the true one lies, however often it is looked at. */
export interface Estimate { count: number; mean?: number; low?: number; high?: number }
/** What came of one arm. */
export interface ArmReport {
  name: string
  /** Its share of the users, 0 to 1. */
  share: number
  turns: number
  /** The mean of the scores that were given. */
  score: Estimate
  /** The share of turns that went wrong. */
  badRate: Estimate
  costUsd: Estimate
  firstTokenMs: Estimate
  /** By how much its score differs from the first arm's, at the least and at the most. */
  scoreDifference?: [number, number]
  /** Whether it is better or worse than the first arm for sure; absent while that cannot be said. */
  better?: boolean
  /** The guard-rail that ended it, in words. */
  ended?: string
}
/** What came of an experiment; the arm that the others are compared with first. */
export interface ExperimentReport { name: string; confidence: number; arms: ArmReport[] }

/** A model server: one that is known by `name` (`openai`, `anthropic`, `gemini`, …), or any other at `baseUrl`. */
export interface ProviderConfig extends Connection {
  name: string
  apiKey?: string
  baseUrl?: string
  /** Those that may be called, in order of preference. */
  models?: string[]
  /** `chat`, `responses`, `anthropic`, `gemini` or `ollama`; by default that of the known server, else `chat`. */
  dialect?: string
  /** Sent with every request: an organisation, a referer. */
  headers?: { [name: string]: string }
  /** What is sent to it at the most with each of its keys, in place of the assistant's `pacing`. Two of one name with different keys are one provider with two keys. */
  pacing?: PaceLimits | 'classic' | 'unlimited'
}

/** What the connection to a server may be told. */
export interface Connection {
  /** Seconds. */
  timeout?: { connect?: number; firstToken?: number; betweenChunks?: number; total?: number }
  /** A proxy for this server, `http://user:password@host:port`, instead of those of the environment; never used for loopback. */
  proxy?: string
  /** A file of root certificates in PEM, trusted beside the machine's: a company's own, say. */
  caFile?: string
  /** The most bytes of a whole answer. Default 64 MiB. */
  maxResponseBytes?: number
  /** The most bytes of all of a stream. Default 256 MiB. */
  maxStreamBytes?: number
  /** The most bytes of one event of a stream. Default 16 MiB. */
  maxEventBytes?: number
  /** By default what the server chooses; `http2` is spoken without asking, for servers in the clear that are known to. */
  httpVersion?: 'negotiated' | 'http1' | 'http2'
  /** How many calls at a time go over one connection of HTTP/2. Default 80. */
  streamsPerConnection?: number
}

/** Of `fastembed`: a model in a folder, run in this process. */
export interface LocalModel {
  /** The folder with `model.onnx`, `tokenizer.json`, `tokenizer_config.json` and `config.json`. */
  folder?: string
  /** The shared library of ONNX Runtime; the variable `ORT_DYLIB_PATH` unless set. */
  library?: string
  /** Threads of a call; all cores unless set. */
  threads?: number
  /** Tokens of a text that are read. Default 512, and never more than the model's own limit. */
  maxTokens?: number
}

/**
 * A server of embeddings instead of the model in the package: `openai`, `gemini`, or any other that speaks OpenAI's embeddings, by a name of yours
 * with its `baseUrl` and `model`; or `static`, with the `file` of a model like the one in the package; or `fastembed`, a sentence transformer in a
 * `folder`, in a package that was built with that feature.
 */
export interface EmbedderConfig extends Connection, LocalModel {
  name: string
  apiKey?: string
  baseUrl?: string
  /** `openai` and `gemini` have one; another needs its `dimensions` too. */
  model?: string
  /** How many numbers the model's vectors have; a server that is not known is asked. */
  dimensions?: number
  /** Asks for vectors of fewer numbers, of models that allow it. */
  shortened?: number
  /** Put before what is remembered, and before questions, for models trained so. */
  documentPrefix?: string
  queryPrefix?: string
  /** The most texts in one request. Default 2048 for `openai`, 100 for `gemini`, else 32. */
  batch?: number
  /** How often a request is tried again after a failure that may pass. Default 2. */
  retries?: number
  /** The file of a `static` model. */
  file?: string
  /** Of `fastembed`: takes the vector of the first token instead of the mean of all, where the folder does not say it. */
  firstToken?: boolean
  /** Bytes of vectors that are kept, to be given again for the same text. None by default. */
  cacheBytes?: number
}

/** A cross-encoder in a `folder`: `fastembed`, in a package that was built with that feature. */
export interface RerankerConfig extends LocalModel {
  name: string
  /** How many of the best it reads, 1 to 200. Default 20. */
  depth?: number
  /** What it adds to the score of the one that fits best. Default 1. */
  weight?: number
}

/** What is sent to a provider at the most with each of its keys; absent for no limit. */
export interface PaceLimits {
  /** Calls a second, sustained. */
  requestsPerSecond?: number
  /** Calls that may go at once after a pause. Default 5. */
  burst?: number
  /** Calls in flight at once. */
  concurrency?: number
  /** Tokens a minute, prompt and answer together. */
  tokensPerMinute?: number
}
/** When a model that fails is left alone, and for how long. Times in seconds. */
export interface Breaker {
  /** Failures in a row. Default 3. */
  failures?: number
  /** Share of failed calls, 0 to 1, once there are `minimumCalls`. Default 0.5. */
  failureRate?: number
  /** Default 10. */
  minimumCalls?: number
  /** How long it is left alone the first time; twice as long after each probe that fails. Default 15. */
  coolDown?: number
  /** Default 300. */
  longestCoolDown?: number
  /** The share of that, 0 to 1, by which chance may shorten it. Default 0.1. */
  jitter?: number
  /** How soon the next probe may follow one that found nothing out. Default 1. */
  probeInterval?: number
  /** In what time a call loses half its weight in the failure rate. Default 60. */
  halfLife?: number
  /** The weight of the newest call in the latency and in the tokens per second, 0 to 1. Default 0.3. */
  latencyWeight?: number
  /** How many models with their keys are remembered. Default 1024. */
  capacity?: number
}
/** Keeps the answers to requests, to be given again to the same request. */
export interface ResponseCacheOptions {
  /** Seconds that an answer is given again. Default 300. */
  ttl?: number
  /** Bytes of answers that are kept. Default 64 MiB. */
  maxBytes?: number
}
/** How much of the memories' indexes is held in memory. */
export interface IndexLimits {
  /** The most users whose indexes are held, the least recently used going first. Default 256. */
  partitions?: number
  /** The most bytes that all of them take, about; one user's are held however large they are. Default 512 MiB. */
  bytes?: number
  /** From how many vectors of one user on a graph (HNSW) is built and answers. Default 2,000,000: below, the scan is as quick. */
  graphFrom?: number
}
/** Gives an answer again to a question that means the same. */
export interface SemanticCacheOptions {
  /** The cosine of the questions from which they mean the same, up to 1. Default 0.95. */
  threshold?: number
  /** Seconds that an answer is given again. Default 300. */
  ttl?: number
  /** Answers that are kept. Default 1000. */
  maxEntries?: number
  /** Among whom answers are shared: one user's questions (the default) or those of an organisation. */
  scope?: 'user' | 'organisation'
}

/** What a provider of your own returns from `complete`: its text, or the whole. */
export type Reply =
  | string
  | {
      id?: string
      model?: string
      text?: string
      reasoning?: string
      toolCalls?: ToolCall[]
      citations?: Citation[]
      /** In which words it was refused, where it was. */
      refusal?: string
      usage?: Partial<Usage>
      finish?: string
    }
/** What it yields from `stream`. */
export type Piece = string | Exclude<Event, { type: 'recalled' | 'routed' | 'thinking' | 'searching' | 'node' | 'restart' | 'done' }>

/** A provider of your own: give it `complete` or `stream` or both. `signal` fires when nobody waits any more. */
export interface Provider {
  name: string
  models: string[]
  /** Whether a request whose last message is the assistant's own is answered with what follows on those words, and nothing of them again. */
  resumes?: boolean
  complete?(request: Request, options: { signal: AbortSignal }): Reply | Promise<Reply>
  stream?(request: Request, options: { signal: AbortSignal }): AsyncIterable<Piece> | Iterable<Piece> | Promise<AsyncIterable<Piece> | Iterable<Piece>>
}

type Vectors = ArrayLike<ArrayLike<number>>

/** An embedder of your own: all texts in one call, one vector each. */
export interface Embedder {
  model: string
  dimensions: number
  embed(texts: string[]): Vectors | Promise<Vectors>
  /** For models that treat questions differently. */
  embedQuery?(text: string): ArrayLike<number> | Promise<ArrayLike<number>>
}

/** One call of a tool by a model, beside its arguments. */
export interface ToolUse {
  /** For whom the model asks. */
  scope: Scope
  turnId: string
  /** Unique in the conversation. */
  callId: string
  /** Aborted when nobody waits for the result any more. */
  signal: AbortSignal
}

/** A function that models may call in every turn and that runs here: the model reads what it returns (text, or what JSON can write) and goes on. What it throws the model is told. */
export interface FunctionTool {
  /** Letters, digits, `_` and `-`, at most 64. */
  name: string
  /** What it does, for the model. */
  description?: string
  /** JSON schema of its arguments. */
  parameters: Json
  /** Seconds a call may take. Default 30. */
  timeout?: number
  execute(args: { [name: string]: Json }, use: ToolUse): unknown
}

/** How an assistant is set up. */
export interface SyntraOptions {
  /** The folder that keeps everything; without one everything is gone with the object. */
  dataDir?: string
  /** Servers, or objects of your own. */
  providers?: (ProviderConfig | Provider)[]
  /** Instead of the embedder in the package: a server, a local model, or an object of your own. */
  embedder?: EmbedderConfig | Embedder
  /** A router of your own, which is asked for each question. */
  router?: Router
  /**
   * A ranker of recalled memories of your own; or weights for the default one, `{ people: { length: 0 } }`, whose kinds and signals are those of
   * `docs/ranking.md`; or an older one by name: `classic` weighs by the kind of question, `classic_fixed` does not.
   */
  ranker?: Ranker | { [kind: string]: { [signal: string]: number } } | 'classic' | 'classic_fixed'
  /** Reads the best of what was recalled again, together with the question: a local model, or an object of your own. */
  reranker?: RerankerConfig | Reranker
  /** Functions that models may call in every turn and that run here. */
  tools?: FunctionTool[]
  /** How many times in a row a turn runs the model's calls of these tools before it has to answer. Default 8. */
  maxToolRounds?: number
  /** A context builder of your own. */
  contextBuilder?: ContextBuilder
  /** Keeps the memories instead of SQLite. */
  memoryStore?: MemoryStore
  /** Keeps the threads instead of SQLite. */
  threadStore?: ThreadStore
  /** Tells the time instead of the machine's clock. */
  clock?: Clock
  /** Rows that are added to the catalogue of models and prices or correct it, as `docs/catalogue.md` writes them, or the path of a file of them. */
  catalogue?: Json[] | string
  /** Looks for a llama.cpp and an Ollama server on this machine. */
  discoverLocalServers?: boolean
  persona?: Persona
  /** Tokens of the context by section. */
  budget?: Budget
  /** What the router aims at, from the cheapest capable model (0) to the best (1). Default 0.5. */
  quality?: number
  /** What is allowed and wanted of the choice of a model, for everybody. */
  policy?: RoutingPolicy
  /** And beside that for single organisations, by name. */
  organisationPolicies?: { [organisation: string]: RoutingPolicy }
  /** Ways to choose a model that are compared, each for its share of the users; see `experiments()`. */
  experiments?: Experiment[]
  /** By provider, the regions in which it works on data, for the residency of a policy. */
  regions?: { [provider: string]: string[] }
  retryPolicy?: RetryPolicy
  /** What happens when a stream fails after some of the answer was shown. Default `resume`. */
  recovery?: Recovery
  /** How long a turn may take in seconds, from the question to its end. No limit by default. */
  deadline?: number
  /** Calls a second model beside one that is slow to answer. Off by default. */
  hedging?: HedgePolicy
  /** What is sent to each provider at the most: limits, `classic` for cautious ones, or `unlimited`, the default: nothing but what the provider itself says holds calls back. */
  pacing?: PaceLimits | 'classic' | 'unlimited'
  /** When a model that fails is left alone. */
  breaker?: Breaker
  /** Gives an answer again to the same request. Off by default. */
  responseCache?: ResponseCacheOptions
  /** Gives an answer again to a question that means the same. Off by default. */
  semanticCache?: SemanticCacheOptions
  /** How much of the memories' indexes is held in memory. */
  indexLimits?: IndexLimits
  /** IANA name of the time zone in which `yesterday` is understood. UTC by default. */
  timeZone?: string
  /** How many messages of a thread a turn reads back. */
  historyMessages?: number
  /** Whether a question that no model answers is answered from memory. Default true. */
  extractiveFallback?: boolean
  /** Whether a turn says its steps in words (events of type `thinking`); it does by default. */
  thinking?: boolean
}
