/** The front door. */

import { fromEngine, snake, toEngine } from './convert'
import { errorOf, thrown, type ErrorJson } from './errors'
import { Host } from './host'
import { ROOM_NAMES } from './lent'
import { ended } from './inbox'
import { native, type NativeEngine } from './native'
import { TurnStream } from './stream'
import type {
  Abortable, Answer, AskOptions, DocumentStats, Embedder, Erased, ExperimentReport, Filter, Health, IndexReport, Memory, MemoryOptions, MemoryPatch, MemoryStats, Message,
  NewMemory, Page, Plan, Progress, Provider, ProviderConfig, Recall, Remembered, Request, Response, RoutingPolicy, Scope, Strategy, SyntraOptions, Target,
  Thread, ThreadMessage, TokenCount, Trace,
} from './types'

const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as never)

const ASK_KEYS = new Set([
  'thread', 'history', 'model', 'instructions', 'images', 'documents', 'toolResults', 'tools', 'maxToolRounds', 'toolChoice', 'jsonSchema', 'jsonSchemaName', 'json',
  'temperature', 'maxTokens', 'stop', 'seed', 'reasoning', 'extra', 'maxCostUsd', 'policy', 'recall', 'remember', 'recallLimit', 'now', 'recovery', 'deadline', 'cache', 'signal',
])

function askParams(scope: Scope, question: string | Message, options: AskOptions): string {
  for (const key of Object.keys(options)) {
    if (!ASK_KEYS.has(key)) throw new TypeError(`unknown option ${JSON.stringify(key)}; there are ${[...ASK_KEYS].join(', ')}`)
  }
  const { images, documents, toolResults, jsonSchema, jsonSchemaName, json, maxCostUsd, policy, signal: _, ...plain } = options
  const given: Message = typeof question === 'string' ? { role: 'user', parts: [{ type: 'text', text: question }] } : question
  const parts = given.parts.filter((part) => part.type !== 'text' || part.text !== '')
  for (const image of images ?? []) parts.push({ type: 'image', ...image })
  for (const document of documents ?? []) parts.push({ type: 'document', ...document })
  for (const result of toolResults ?? []) parts.push({ type: 'tool_result', ...result })
  const role = toolResults !== undefined && toolResults.length > 0 ? 'tool' : given.role
  const ask = toEngine({ ...plain, message: { ...given, role, parts } }) as { [key: string]: unknown }
  if (jsonSchema !== undefined) ask.output = { json_schema: { name: jsonSchemaName ?? 'answer', schema: jsonSchema } }
  else if (json === true) ask.output = 'json'
  if (policy !== undefined) ask.policy = policyWords(policy)
  if (maxCostUsd !== undefined) ask.max_cost = Math.round(maxCostUsd * 1e9)
  return JSON.stringify({ scope, ask })
}

/** A policy as the engine takes it: patterns are keys of `weights` and stay as they are. */
function policyWords({ maxCostUsd, ...policy }: RoutingPolicy): { [key: string]: unknown } {
  const words = toEngine(policy) as { [key: string]: unknown }
  if (maxCostUsd !== undefined) words.max_cost = Math.round(maxCostUsd * 1e9)
  return words
}

/** Whether it says in words what is wanted (weights for the default ranker, by kind; a reranker in a folder), and is no object of the caller's. */
const isDescribed = (room: string, given: object | string): boolean => {
  if (typeof given === 'string') return true
  const kinds = Object.values(given) as unknown[]
  if (room === 'ranker') return kinds.length > 0 && kinds.every((kind) => typeof kind === 'object')
  return room === 'reranker' && 'name' in given && !('rerank' in given)
}

function isServer(provider: ProviderConfig | Provider): provider is ProviderConfig {
  return !('complete' in provider) && !('stream' in provider)
}

/**
 * One assistant over many language-model providers, with one memory. One call is one whole turn or one whole batch.
 *
 * ```js
 * const assistant = await Syntra.open()
 * const me = { org: 'local', user: 'local' }
 * await assistant.remember(me, 'The spare key is under the blue pot.')
 * console.log((await assistant.ask(me, 'Where is the spare key?')).text)
 * ```
 */
export class Syntra {
  readonly #engine: NativeEngine
  readonly #host: Host

  private constructor(engine: NativeEngine, host: Host) {
    this.#engine = engine
    this.#host = host
  }

  /** The assistant that `options` describe; without any, it keeps everything in memory and answers from it. */
  static async open(options: SyntraOptions = {}): Promise<Syntra> {
    return Syntra.#make(options, false)
  }

  /**
   * As {@link Syntra.open}, with a provider for each of the usual key variables (`OPENAI_API_KEY` and so on) that is set; the folder is
   * `SYNTRA_DATA_DIR`, else `dataDir`, else `.syntra`.
   */
  static async fromEnv(options: SyntraOptions = {}): Promise<Syntra> {
    return Syntra.#make(options, true)
  }

  static async #make(options: SyntraOptions, fromEnv: boolean): Promise<Syntra> {
    const host = new Host()
    const { providers, embedder, tools, catalogue, policy, organisationPolicies, experiments, ...rest } = options
    const plain: { [key: string]: unknown } = { ...rest }
    for (const room of ROOM_NAMES) delete plain[room]
    const config = toEngine(plain) as { [key: string]: unknown }
    config.from_env = fromEnv
    if (providers !== undefined) {
      config.providers = providers.map((p) => (isServer(p) ? toEngine(p) : host.addProvider(p)))
    }
    if (experiments !== undefined) {
      config.experiments = experiments.map(({ arms, ...experiment }) => ({
        ...(toEngine(experiment) as object),
        arms: arms.map(({ policy: own, ...arm }) => ({ ...arm, ...(own && { policy: policyWords(own) }) })),
      }))
    }
    if (policy !== undefined) config.policy = policyWords(policy)
    if (organisationPolicies !== undefined) {
      config.organisation_policies = Object.entries(organisationPolicies).map(([organisation, own]) => ({ organisation, policy: policyWords(own) }))
    }
    if (embedder !== undefined) config.embedder = 'name' in embedder && !('embed' in embedder) ? toEngine(embedder) : host.addEmbedder(embedder as Embedder)
    if (tools !== undefined) config.tools = tools.map((tool) => host.addTool(tool))
    if (catalogue !== undefined) config.catalogue = catalogue
    for (const room of ROOM_NAMES) {
      const given = (options as { [room: string]: object | string | undefined })[room]
      if (given !== undefined) config[snake(room)] = isDescribed(room, given) ? toEngine(given) : host.addRoom(room, given as object)
    }
    try {
      return new Syntra(await native().open(JSON.stringify(config), host.dispatch), host)
    } catch (error) {
      throw thrown(error, host.kept)
    }
  }

  async #raw(method: string, params: string, signal?: AbortSignal): Promise<unknown> {
    return (await this.#start(method, params, signal)).result
  }

  async #start(method: string, params: string, signal?: AbortSignal): Promise<{ result: unknown; trace: { json(): string } | undefined }> {
    signal?.throwIfAborted()
    let number = 0
    const abort = (): void => this.#engine.abort(number)
    try {
      const { ok, payload, trace } = await ended((inbox, given) => {
        number = given
        this.#engine.start(inbox, number, method, params, signal !== undefined)
        signal?.addEventListener('abort', abort, { once: true })
      })
      const json: unknown = JSON.parse(payload ?? 'null')
      if (ok) return { result: fromEngine(json), trace }
      signal?.throwIfAborted()
      throw errorOf(json as ErrorJson, this.#host.kept)
    } catch (error) {
      throw thrown(error, this.#host.kept)
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  async #call(method: string, params: object, options: Abortable = {}): Promise<unknown> {
    return this.#raw(method, JSON.stringify(toEngine(params)), options.signal)
  }

  /** Asks and returns the whole answer. */
  async ask(scope: Scope, question: string | Message, options: AskOptions = {}): Promise<Answer> {
    const { result, trace: native } = await this.#start('ask', askParams(scope, question, options), options.signal)
    let trace: Trace | undefined
    // Most callers never look at it.
    const get = (): Trace => (trace ??= fromEngine(JSON.parse(native?.json() ?? 'null')) as Trace)
    return Object.defineProperty(result as Answer, 'trace', { get, enumerable: true, configurable: true })
  }

  /** Asks and returns the answer as it comes. */
  stream(scope: Scope, question: string | Message, options: AskOptions = {}): TurnStream {
    try {
      return new TurnStream(this.#engine.stream(askParams(scope, question, options)), this.#host.kept, options.signal)
    } catch (error) {
      throw thrown(error, this.#host.kept)
    }
  }

  /** Which models a question would go to, and why, without asking any. */
  async plan(scope: Scope, question: string | Message, options: AskOptions = {}): Promise<Plan> {
    return (await this.#raw('plan', askParams(scope, question, options), options.signal)) as Plan
  }

  /** Why a turn did what it did; `undefined` when it is no longer known. */
  async trace(scope: Scope, turnId: string, options: Abortable = {}): Promise<Trace | undefined> {
    return ((await this.#call('trace', { scope, turnId }, options)) ?? undefined) as Trace | undefined
  }

  /** Tells the router how good the answer of a turn was, from 0 (useless) to 1 (perfect), once; it learns from that. */
  async feedback(scope: Scope, turnId: string, score: number, options: Abortable = {}): Promise<void> {
    await this.#call('feedback', { scope, turnId, score }, options)
  }

  /** What came of each experiment for the organisation, with intervals that hold however often this is called. */
  async experiments(scope: Scope, options: Abortable = {}): Promise<ExperimentReport[]> {
    return (await this.#call('experiments', { scope }, options)) as ExperimentReport[]
  }

  /** What the router learned from the organisation's outcomes, without any text of a question; `undefined` when there is nothing. */
  async exportLearned(scope: Scope, options: Abortable = {}): Promise<object | undefined> {
    return ((await this.#call('export_learned', { scope }, options)) as { learned?: object }).learned
  }

  /** Takes over what {@link Syntra.exportLearned} gave, in place of what was learned for the organisation. */
  async importLearned(scope: Scope, learned: object, options: Abortable = {}): Promise<void> {
    await this.#call('import_learned', { scope, learned }, options)
  }

  /** Forgets what the router learned for the organisation; whether there was something. */
  async resetLearned(scope: Scope, options: Abortable = {}): Promise<boolean> {
    return (await this.#call('reset_learned', { scope }, options)) as boolean
  }

  /** One request to one model, without memory, routing or fallback. */
  async complete(provider: string, request: Request, options: Abortable = {}): Promise<Response> {
    return (await this.#call('complete', { provider, request }, options)) as Response
  }

  /** Remembers `items` in order, all or none. `options` go with plain texts. */
  async remember(
    scope: Scope,
    items: string | NewMemory | (string | NewMemory)[],
    options: MemoryOptions & Abortable = {},
  ): Promise<Remembered[]> {
    const { signal, ...rest } = options
    const whole = (Array.isArray(items) ? items : [items]).map((item) => {
      if (typeof item === 'string') return { kind: 'semantic', ...rest, text: item }
      if (Object.keys(rest).length > 0) throw new TypeError('options go with plain texts; a NewMemory says it all itself')
      return { kind: 'semantic', ...item }
    })
    return (await this.#call('remember', { scope, items: whole }, { signal })) as Remembered[]
  }

  /**
   * What memory has on `query`, ranked, with the parts of each score. `timeZone` is an IANA name, for words like `yesterday`, and by default the
   * assistant's.
   */
  async recall(
    scope: Scope,
    query: string,
    options: { limit?: number; filter?: Filter; strategies?: Strategy[]; now?: Date; timeZone?: string } & Abortable = {},
  ): Promise<Recall> {
    const { signal, ...rest } = options
    return (await this.#call('recall', { scope, query, ...rest }, { signal })) as Recall
  }

  /** Changes a memory. */
  async updateMemory(scope: Scope, id: string, patch: MemoryPatch, options: Abortable = {}): Promise<Memory> {
    return (await this.#call('update_memory', { scope, id, patch }, options)) as Memory
  }

  /** Writes `item` and ends the validity of the memory `old`, which stays readable. */
  async supersede(scope: Scope, old: string, item: string | NewMemory, options: Abortable = {}): Promise<Remembered> {
    const given = typeof item === 'string' ? { text: item } : item
    return (await this.#call('supersede', { scope, old, new: { kind: 'semantic', ...given } }, options)) as Remembered
  }

  /** Removes memories for good; how many there were. */
  async forget(scope: Scope, ids: string | string[], options: Abortable = {}): Promise<number> {
    return (await this.#call('forget', { scope, ids: [ids].flat() }, options)) as number
  }

  /** The memories with these ids, in the order asked for; those that are not there are left out. */
  async memories(scope: Scope, ids: string | string[], options: Abortable = {}): Promise<Memory[]> {
    return (await this.#call('memories', { scope, ids: [ids].flat() }, options)) as Memory[]
  }

  /** Memories in the order they were written, superseded ones included. */
  async listMemories(scope: Scope, options: { filter?: Filter } & Page & Abortable = {}): Promise<Memory[]> {
    const { filter, offset, limit, signal } = options
    return (await this.#call('list_memories', { scope, filter, page: { offset, limit } }, { signal })) as Memory[]
  }

  /**
   * Memories that held at the time `at`, whether or not they still do, in the order they were written. A question that names a time ("Where did I
   * live in May?") finds them by itself.
   */
  async memoriesAsOf(scope: Scope, at: Date, options: { filter?: Filter } & Page & Abortable = {}): Promise<Memory[]> {
    const { filter, offset, limit, signal } = options
    return (await this.#call('memories_as_of', { scope, at, filter, page: { offset, limit } }, { signal })) as Memory[]
  }

  /** How many memories there are. */
  async memoryStats(scope: Scope, options: Abortable = {}): Promise<MemoryStats> {
    return (await this.#call('memory_stats', { scope }, options)) as MemoryStats
  }

  /**
   * Gives a vector to the memories that have none of the present embedder's, after another `embedder` was set: until then what was remembered
   * before is found by its words and all else, not by its meaning. How many got one; what is done stays if it ends early.
   */
  async embedMissing(scope: Scope, options: Abortable = {}): Promise<number> {
    return (await this.#call('embed_missing', { scope }, options)) as number
  }

  /** Removes everything of the scope: memories, threads, traces. */
  async erase(scope: Scope, options: Abortable = {}): Promise<Erased> {
    return (await this.#call('erase', { scope }, options)) as Erased
  }

  /**
   * Reads the documents in the folder `path` into memory: all, or those of `only` (files and folders relative to it). Only what is new or
   * changed is written, and what is gone is forgotten. `onProgress` hears of each file before it is read; what it throws ends the call.
   */
  async indexDirectory(
    scope: Scope,
    path: string,
    options: { only?: string[]; onProgress?: (progress: Progress) => void } & Abortable = {},
  ): Promise<IndexReport> {
    const { only, onProgress, signal } = options
    const progress = onProgress === undefined ? undefined : this.#host.addProgress(onProgress)
    try {
      return (await this.#call('index_directory', { scope, path, only, progress }, { signal })) as IndexReport
    } finally {
      if (progress !== undefined) this.#host.remove(progress)
    }
  }

  /** Forgets what was indexed of the folder `path`; how many chunks that were. */
  async removeDirectory(scope: Scope, path: string, options: Abortable = {}): Promise<number> {
    return (await this.#call('remove_directory', { scope, path }, options)) as number
  }

  /** What is indexed. */
  async documentStats(scope: Scope, options: Abortable = {}): Promise<DocumentStats> {
    return (await this.#call('document_stats', { scope }, options)) as DocumentStats
  }

  /** Creates a thread; with an `id` of the caller's, returns the one that is there. */
  async createThread(scope: Scope, options: { id?: string; title?: string } & Abortable = {}): Promise<Thread> {
    const { id, title, signal } = options
    return (await this.#call('create_thread', { scope, id, title }, { signal })) as Thread
  }

  /** A thread. */
  async thread(scope: Scope, id: string, options: Abortable = {}): Promise<Thread> {
    return (await this.#call('thread', { scope, id }, options)) as Thread
  }

  /** Threads, the one written to last first. */
  async threads(scope: Scope, options: Page & Abortable = {}): Promise<Thread[]> {
    const { offset, limit, signal } = options
    return (await this.#call('threads', { scope, page: { offset, limit } }, { signal })) as Thread[]
  }

  /** The newest `limit` messages of a thread (those before the place `before`), oldest of them first. */
  async history(scope: Scope, thread: string, options: { limit?: number; before?: number } & Abortable = {}): Promise<ThreadMessage[]> {
    const { limit, before, signal } = options
    return (await this.#call('history', { scope, thread, limit, before }, { signal })) as ThreadMessage[]
  }

  /** Appends messages to a thread together. */
  async append(scope: Scope, thread: string, messages: Message | Message[], options: Abortable = {}): Promise<ThreadMessage[]> {
    return (await this.#call('append', { scope, thread, messages: [messages].flat() }, options)) as ThreadMessage[]
  }

  /** Deletes a thread and its messages; whether it was there. Memories of it stay. */
  async deleteThread(scope: Scope, id: string, options: Abortable = {}): Promise<boolean> {
    return (await this.#call('delete_thread', { scope, id }, options)) as boolean
  }

  /** Tokens of `text` as `model` counts them, and whether the count is exact. */
  async countTokens(model: string, text: string, options: Abortable = {}): Promise<TokenCount> {
    return (await this.#call('count_tokens', { model, text }, options)) as TokenCount
  }

  /** The vectors of `texts`, in order. */
  async embed(texts: string[], options: Abortable = {}): Promise<number[][]> {
    return (await this.#call('embed', { texts }, options)) as number[][]
  }

  /** The names of the configured providers, sorted. */
  async providers(options: Abortable = {}): Promise<string[]> {
    return (await this.#call('providers', {}, options)) as string[]
  }

  /** Every model that may be called. */
  async models(options: Abortable = {}): Promise<Target[]> {
    return (await this.#call('models', {}, options)) as Target[]
  }

  /** Whether the store answers and how each model has done lately. */
  async health(options: Abortable = {}): Promise<Health> {
    return (await this.#call('health', {}, options)) as Health
  }

  /** Lets go of files and connections. Every later call fails. */
  close(): void {
    this.#engine.close()
  }

  async [asyncDispose](): Promise<void> {
    this.close()
  }
}
