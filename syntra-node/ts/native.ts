/** The native half: finding it, and what it offers. */

import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Reaches a JavaScript object that is lent to the engine. Never rejects. */
export type Dispatch = (object: string, method: string, argument: string, call: number) => Promise<string>

/** How a call ended: its result or error as JSON, and the trace of a turn. */
export interface Ended {
  number: number
  ok: boolean
  payload?: string
  trace?: { json(): string }
}

export interface NativeInbox {
  take(): Ended[]
}

export interface NativeStream {
  next(inbox: NativeInbox, number: number): void
  close(): void
}

export interface NativeEngine {
  start(inbox: NativeInbox, number: number, method: string, params: string, abortable: boolean): void
  abort(number: number): void
  stream(params: string): NativeStream
  close(): void
}

export interface NativeBinding {
  Inbox: new (bell: () => void) => NativeInbox
  open(config: string, dispatch?: Dispatch): Promise<NativeEngine>
  version(): string
}

/** The name of this platform as the packages spell it. */
export function platformName(): string {
  const { platform, arch } = process
  if (platform === 'linux') {
    // The report names glibc only where there is one.
    const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined
    return `linux-${arch}-${report?.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`
  }
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`
}

/** Loads the binary: one built in this folder, else that of the platform's package. */
export function loadNative(name = platformName(), folder = join(__dirname, '..')): NativeBinding {
  const local = join(folder, `syntra.${name}.node`)
  const tried: string[] = []
  for (const from of existsSync(local) ? [local] : [`syntra-${name}`]) {
    try {
      return require(from) as NativeBinding
    } catch (error) {
      tried.push(`${from}: ${(error as Error).message.split('\n')[0]}`)
    }
  }
  throw new Error(
    `syntra has no native binary for ${name}. Install the optional package "syntra-${name}" ` +
      `(npm leaves optional packages out with --omit=optional, and a lock file made on another platform may lack it), ` +
      `or build it here: "npm run build" in the syntra-node folder, with a Rust toolchain. Tried ${tried.join('; ')}`,
  )
}

let binding: NativeBinding | undefined

/** The binding, loaded when it is first needed. */
export function native(): NativeBinding {
  return (binding ??= loadNative())
}
