/** A turn's events, read from the engine in batches. */

import { fromEngine } from './convert'
import { errorOf, thrown, type ErrorJson, type Kept } from './errors'
import { ended } from './inbox'
import type { NativeStream } from './native'
import type { Answered, Event } from './types'

/** Where Node has none, `await using` finds nothing, and `for await` and `close` still do. */
const asyncDispose: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? (Symbol.for('Symbol.asyncDispose') as never)

/**
 * The events of one turn: iterate over it once. It ends after a `done` event, or throws what went wrong. Leaving the loop, aborting
 * the signal, or `close` ends the turn early and closes the connection to the model. Nothing happens before the first event is
 * asked for.
 */
export class TurnStream implements AsyncIterableIterator<Event> {
  readonly #native: NativeStream
  readonly #kept: Kept
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = (): void => this.#native.close()
  #ready: Event[] = []
  #at = 0
  #ended = false
  #failed: unknown
  #done: Answered | undefined
  /** Reads that wait, and the last of them. */
  #waiting = 0
  #reading: Promise<void> = Promise.resolve()

  /** @internal */
  constructor(native: NativeStream, kept: Kept, signal: AbortSignal | undefined) {
    this.#native = native
    this.#kept = kept
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** How the turn ended, once it has. */
  get done(): Answered | undefined {
    return this.#done
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Event, undefined>> {
    // Nearly always there is one.
    if (this.#waiting === 0 && this.#at < this.#ready.length && this.#signal === undefined) {
      return Promise.resolve({ done: false, value: this.#ready[this.#at++] as Event })
    }
    return this.#inTurn()
  }

  async #inTurn(): Promise<IteratorResult<Event, undefined>> {
    // Reads that overlap take turns, so that no event is lost or given twice.
    const before = this.#reading
    let finished = (): void => undefined
    this.#reading = new Promise((resolve) => (finished = resolve))
    this.#waiting++
    try {
      await before
      return await this.#next()
    } finally {
      this.#waiting--
      finished()
    }
  }

  async #next(): Promise<IteratorResult<Event, undefined>> {
    while (this.#at >= this.#ready.length && !this.#ended) {
      if (this.#signal?.aborted) break
      await this.#read()
    }
    if (this.#signal?.aborted && this.#done === undefined) {
      this.close()
      throw this.#signal.reason
    }
    const event = this.#ready[this.#at++]
    if (event !== undefined) return { done: false, value: event }
    const failed = this.#failed
    this.#failed = undefined
    if (failed !== undefined) throw failed
    return { done: true, value: undefined }
  }

  async #read(): Promise<void> {
    let batch: string | undefined
    try {
      const { ok, payload } = await ended((inbox, number) => this.#native.next(inbox, number))
      if (!ok) throw errorOf(JSON.parse(payload ?? '{}') as ErrorJson, this.#kept)
      batch = payload
    } catch (error) {
      this.#end()
      throw thrown(error, this.#kept)
    }
    if (batch === undefined) return this.#end()
    this.#at = 0
    this.#ready = []
    for (const json of JSON.parse(batch) as { type: string }[]) {
      if (json.type === 'error') {
        this.#failed = errorOf(json as unknown as ErrorJson, this.#kept)
        this.#end()
      } else if (json.type === 'text') {
        this.#ready.push(json as Event)
      } else {
        const event = fromEngine(json) as Event
        this.#ready.push(event)
        if (event.type === 'done') {
          const { type: _, ...answered } = event
          this.#done = answered
          this.#end()
        }
      }
    }
  }

  #end(): void {
    this.#ended = true
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  /** The answer's text, piece by piece. */
  async *texts(): AsyncGenerator<string, void, undefined> {
    for await (const event of this) if (event.type === 'text') yield event.text
  }

  /** Ends the turn, if it has not ended. */
  close(): void {
    this.#end()
    this.#ready = []
    this.#failed = undefined
    this.#native.close()
  }

  async return(): Promise<IteratorResult<Event, undefined>> {
    this.close()
    return { done: true, value: undefined }
  }

  async [asyncDispose](): Promise<void> {
    this.close()
  }
}
