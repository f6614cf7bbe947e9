/** JavaScript objects as parts of the library. */

import { fromEngine, toEngine } from './convert'
import { Kept, SyntraError } from './errors'
import { lendRoom } from './lent'
import type { Embedder, FunctionTool, Json, Piece, Progress, Provider, Reply, Request, Scope } from './types'

type Argument = { [key: string]: unknown }
type Lent = { [method: string]: (argument: never, signal: AbortSignal) => unknown }

interface Open {
  items: AsyncIterator<Piece> | Iterator<Piece>
  /** The next item, asked for already because the one before it was late. */
  ahead?: Promise<IteratorResult<Piece>>
  stop: AbortController
}

const MOST = 256

/** Resolves after what is ready now has been delivered. */
const tick = (): Promise<'later'> => new Promise((resolve) => setImmediate(resolve, 'later'))

class LentProvider {
  readonly #provider: Provider
  readonly #streams = new Map<number, Open>()
  #next = 1

  constructor(provider: Provider) {
    this.#provider = provider
  }

  complete(request: Argument, signal: AbortSignal): Promise<Reply> | Reply | undefined {
    return this.#provider.complete?.(fromEngine(request) as Request, { signal })
  }

  async stream(request: Argument): Promise<{ stream: number }> {
    const stop = new AbortController()
    const given = await this.#provider.stream?.(fromEngine(request) as Request, { signal: stop.signal })
    if (given === undefined) throw new TypeError('stream() returned nothing')
    const items = Symbol.asyncIterator in given ? given[Symbol.asyncIterator]() : given[Symbol.iterator]()
    const number = this.#next++
    this.#streams.set(number, { items, stop })
    return { stream: number }
  }

  /** Waits for one item and takes those that are ready behind it. */
  async next({ stream }: { stream: number }): Promise<{ events: Piece[]; done: boolean }> {
    const open = this.#streams.get(stream)
    if (open === undefined) return { events: [], done: true }
    const events: Piece[] = []
    try {
      while (events.length < MOST) {
        const waiting = (open.ahead ??= Promise.resolve(open.items.next()))
        const step = events.length === 0 ? await waiting : await Promise.race([waiting, tick()])
        if (step === 'later') break
        open.ahead = undefined
        if (step.done === true) {
          this.#streams.delete(stream)
          return { events, done: true }
        }
        events.push(step.value)
      }
      return { events, done: false }
    } catch (error) {
      // What came before the failure is delivered first; the next read fails.
      if (events.length > 0) {
        open.ahead = Promise.reject(error)
        open.ahead.catch(() => undefined)
        return { events, done: false }
      }
      this.#streams.delete(stream)
      throw error
    }
  }

  async close({ stream }: { stream: number }): Promise<void> {
    const open = this.#streams.get(stream)
    this.#streams.delete(stream)
    open?.stop.abort()
    await open?.items.return?.()
  }
}

class LentEmbedder {
  readonly #embedder: Embedder

  constructor(embedder: Embedder) {
    this.#embedder = embedder
  }

  async embed({ texts }: { texts: string[] }): Promise<number[][]> {
    return Array.from(await this.#embedder.embed(texts), (vector) => Array.from(vector))
  }

  async embed_query({ texts }: { texts: string[] }): Promise<number[][]> {
    if (this.#embedder.embedQuery === undefined) return this.embed({ texts })
    return [Array.from(await this.#embedder.embedQuery(texts[0] ?? ''))]
  }
}

/** What the engine calls when it wants something of a JavaScript object. Never rejects. */
export class Host {
  readonly kept = new Kept()
  readonly #lent = new Map<string, Lent>()
  readonly #calls = new Map<number, AbortController>()
  #progress = 0

  addProvider(provider: Provider): { host: string; streams: boolean; resumes: boolean; models: string[] } {
    const { name, models, resumes } = provider
    if (typeof name !== 'string' || name === '') throw new TypeError('a provider needs a name')
    if (this.#lent.has(name)) throw new TypeError(`there are two objects named ${JSON.stringify(name)}`)
    this.#lent.set(name, new LentProvider(provider) as unknown as Lent)
    return { host: name, streams: typeof provider.stream === 'function', resumes: resumes === true, models: models ?? [] }
  }

  addEmbedder(embedder: Embedder): { host: string; model: string; dimensions: number } {
    for (const key of ['model', 'dimensions', 'embed'] as const) {
      if (embedder[key] === undefined) throw new TypeError(`an embedder needs ${key}`)
    }
    this.#lent.set('embedder:room', new LentEmbedder(embedder) as unknown as Lent)
    return { host: 'embedder:room', model: embedder.model, dimensions: embedder.dimensions }
  }

  /** Lends the object given for `room` (`router`, `memoryStore`, …); what the engine has to know of it. */
  addRoom(room: string, given: object): Argument {
    // A provider's name is the host's to choose.
    const name = `${room}:room`
    const { lent, words } = lendRoom(room, given)
    this.#lent.set(name, lent as unknown as Lent)
    return { host: name, ...words }
  }

  /** Lends a function that models may call; what the engine has to know of it. */
  addTool({ name, description, parameters, timeout, execute }: FunctionTool): Argument {
    const host = `tool ${name}:room`
    if (typeof execute !== 'function') throw new TypeError(`the tool ${JSON.stringify(name)} needs a method execute`)
    if (this.#lent.has(host)) throw new TypeError(`there are two tools of the name ${JSON.stringify(name)}`)
    const call = async (argument: Argument, signal: AbortSignal): Promise<string> => {
      const { arguments: given, scope, turn_id: turnId, call_id: callId } = argument
      const use = { scope: scope as Scope, turnId: turnId as string, callId: callId as string, signal }
      const found = await execute(given as { [name: string]: Json }, use)
      // Its own words, not ours: no name in it changes.
      return typeof found === 'string' ? found : JSON.stringify(found ?? null)
    }
    this.#lent.set(host, { call } as unknown as Lent)
    return { host, name, description: description ?? '', parameters, timeout }
  }

  addProgress(report: (progress: Progress) => void): string {
    const name = `progress:${this.#progress++}`
    this.#lent.set(name, { progress: (argument) => report(fromEngine(argument) as Progress) })
    return name
  }

  remove(name: string): void {
    this.#lent.delete(name)
  }

  readonly dispatch = async (object: string, method: string, argument: string, call: number): Promise<string> => {
    if (method === 'cancel') {
      this.#calls.get(call)?.abort()
      return '{}'
    }
    const stop = new AbortController()
    if (call !== 0) this.#calls.set(call, stop)
    try {
      const lent = this.#lent.get(object)
      if (lent === undefined) return '{"ok":null}'
      const result = await lent[method]?.(JSON.parse(argument) as never, stop.signal)
      return JSON.stringify({ ok: result === undefined ? null : toEngine(result) })
    } catch (error) {
      return JSON.stringify({ error: this.#failure(error) })
    } finally {
      this.#calls.delete(call)
    }
  }

  #failure(error: unknown): { [key: string]: unknown } {
    const failure = this.kept.keep(error)
    if (error instanceof SyntraError) {
      const { kind, message, status, retryAfterMs } = error
      return { kind, message, status, retry_after_ms: retryAfterMs, failure }
    }
    const name = error instanceof Error ? error.name : typeof error
    const message = `${name}: ${error instanceof Error ? error.message : String(error)}`
    return { kind: name === 'TimeoutError' ? 'timeout' : undefined, message, failure }
  }
}
