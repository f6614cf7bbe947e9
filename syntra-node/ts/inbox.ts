/** Waiting for what the engine is asked. */

import { setInterval } from 'node:timers'
import { type Ended, type NativeInbox, native } from './native'

class Inbox {
  readonly #waiting = new Map<number, (ended: Ended) => void>()
  /** Keeps the process alive while somebody waits. */
  readonly #alive = setInterval(() => undefined, 0x7fffffff).unref()
  readonly #native: NativeInbox = new (native().Inbox)(() => this.#take())
  #number = 0

  ended(start: (inbox: NativeInbox, number: number) => void): Promise<Ended> {
    // 32 bits are what crosses; four thousand million calls later nobody waits for the first.
    const number = (this.#number = (this.#number + 1) >>> 0)
    return new Promise((resolve) => {
      start(this.#native, number)
      if (this.#waiting.size === 0) this.#alive.ref()
      this.#waiting.set(number, resolve)
    })
  }

  #take(): void {
    for (const ended of this.#native.take()) {
      this.#waiting.get(ended.number)?.(ended)
      this.#waiting.delete(ended.number)
    }
    if (this.#waiting.size === 0) this.#alive.unref()
  }
}

let inbox: Inbox | undefined

/** Begins a call, which gets a number, and waits for its end. What `start` throws rejects. */
export function ended(start: (inbox: NativeInbox, number: number) => void): Promise<Ended> {
  inbox ??= new Inbox()
  return inbox.ended(start)
}
