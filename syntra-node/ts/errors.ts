/** Errors as classes, one for each kind. */

/** What kind of thing went wrong. */
export type ErrorKind =
  | 'invalid_input' | 'not_found' | 'conflict' | 'bad_request' | 'credential' | 'region' | 'model_unavailable'
  | 'context_too_long' | 'content_policy' | 'rate_limit' | 'quota_exhausted' | 'overloaded' | 'transient' | 'timeout'
  | 'connection' | 'truncated' | 'decode' | 'unsupported' | 'embedding' | 'storage' | 'cancelled' | 'config'
  | 'limit_reached' | 'unknown'

/** One try of a call that failed in the end. */
export interface Attempt {
  provider: string
  model: string
  kind: ErrorKind
  message: string
  elapsedMs: number
}

export interface ErrorDetails {
  provider?: string
  model?: string
  /** The HTTP status. */
  status?: number
  /** The provider's own code. */
  code?: string
  /** How long the server asks to wait, in milliseconds. */
  retryAfterMs?: number
  /** Whether, and where, trying again can help. */
  retry?: 'never' | 'same_target' | 'other_target'
  /** How far the call had come. */
  phase?: 'before_send' | 'before_content' | 'after_content'
  /** The tries that led here, oldest first. */
  attempts?: Attempt[]
  /** The exception of a JavaScript object that caused it. */
  cause?: unknown
}

/**
 * An error of the library. A provider of your own may throw one to say of what kind its failure is; any other exception means that
 * it cannot answer but another may.
 */
export class SyntraError extends Error {
  readonly kind: ErrorKind = 'unknown'
  declare readonly provider?: string
  declare readonly model?: string
  declare readonly status?: number
  declare readonly code?: string
  declare readonly retryAfterMs?: number
  declare readonly retry?: ErrorDetails['retry']
  declare readonly phase?: ErrorDetails['phase']
  readonly attempts: readonly Attempt[]

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined)
    this.name = new.target.name
    this.attempts = details.attempts ?? []
    for (const key of ['provider', 'model', 'status', 'code', 'retryAfterMs', 'retry', 'phase'] as const) {
      if (details[key] !== undefined) Object.defineProperty(this, key, { value: details[key], enumerable: true })
    }
  }
}

/** The caller gave something wrong; the message names it and what would be right. */
export class InvalidInputError extends SyntraError { override readonly kind = 'invalid_input' }
/** A thing that was named does not exist. */
export class NotFoundError extends SyntraError { override readonly kind = 'not_found' }
/** A write met a newer state than it expected. */
export class ConflictError extends SyntraError { override readonly kind = 'conflict' }
/** The provider refused the request as malformed. */
export class BadRequestError extends SyntraError { override readonly kind = 'bad_request' }
/** The key is missing, wrong or not allowed. */
export class CredentialError extends SyntraError { override readonly kind = 'credential' }
/** The provider does not serve this region or account. */
export class RegionError extends SyntraError { override readonly kind = 'region' }
/** The model is unknown to the provider, retired, or not open to this key. */
export class ModelUnavailableError extends SyntraError { override readonly kind = 'model_unavailable' }
/** The conversation does not fit the model's window. */
export class ContextTooLongError extends SyntraError { override readonly kind = 'context_too_long' }
/** The provider's policy filter refused the content. */
export class ContentPolicyError extends SyntraError { override readonly kind = 'content_policy' }
/** Too many requests or tokens in too short a time. */
export class RateLimitError extends SyntraError { override readonly kind = 'rate_limit' }
/** The paid quota or balance is used up. */
export class QuotaExhaustedError extends SyntraError { override readonly kind = 'quota_exhausted' }
/** The provider has no capacity now. */
export class OverloadedError extends SyntraError { override readonly kind = 'overloaded' }
/** The provider failed in passing. */
export class TransientError extends SyntraError { override readonly kind = 'transient' }
/** A deadline passed. */
export class TimeoutError extends SyntraError { override readonly kind = 'timeout' }
/** The connection could not be made or broke. */
export class ConnectionError extends SyntraError { override readonly kind = 'connection' }
/** The answer ended before its end. */
export class TruncatedError extends SyntraError { override readonly kind = 'truncated' }
/** The answer could not be understood. */
export class DecodeError extends SyntraError { override readonly kind = 'decode' }
/** The model or provider cannot do what was asked; known before sending. */
export class UnsupportedError extends SyntraError { override readonly kind = 'unsupported' }
/** The embedder failed or gave a vector that cannot be used. */
export class EmbeddingError extends SyntraError { override readonly kind = 'embedding' }
/** The store failed. */
export class StorageError extends SyntraError { override readonly kind = 'storage' }
/** The call was cancelled, or its Syntra is closed. */
export class CancelledError extends SyntraError { override readonly kind = 'cancelled' }
/** The set-up is wrong or incomplete. */
export class ConfigError extends SyntraError { override readonly kind = 'config' }
/** A limit that the host set is reached. */
export class LimitReachedError extends SyntraError { override readonly kind = 'limit_reached' }

/** The class of each kind. */
export const errorClasses: { readonly [kind: string]: new (message: string, details?: ErrorDetails) => SyntraError } = {
  invalid_input: InvalidInputError,
  not_found: NotFoundError,
  conflict: ConflictError,
  bad_request: BadRequestError,
  credential: CredentialError,
  region: RegionError,
  model_unavailable: ModelUnavailableError,
  context_too_long: ContextTooLongError,
  content_policy: ContentPolicyError,
  rate_limit: RateLimitError,
  quota_exhausted: QuotaExhaustedError,
  overloaded: OverloadedError,
  transient: TransientError,
  timeout: TimeoutError,
  connection: ConnectionError,
  truncated: TruncatedError,
  decode: DecodeError,
  unsupported: UnsupportedError,
  embedding: EmbeddingError,
  storage: StorageError,
  cancelled: CancelledError,
  config: ConfigError,
  limit_reached: LimitReachedError,
}

/** Exceptions of JavaScript objects, kept until the library's error that they cause comes back. */
export class Kept {
  static readonly limit = 256
  #next = 1
  readonly #kept = new Map<number, unknown>()

  keep(error: unknown): number {
    const number = this.#next++
    this.#kept.set(number, error)
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= Kept.limit) break
      this.#kept.delete(oldest)
    }
    return number
  }

  has(number: number): boolean {
    return this.#kept.has(number)
  }

  get(number: number): unknown {
    return this.#kept.get(number)
  }
}

/** An error of the library as it crosses. */
export interface ErrorJson {
  kind: ErrorKind
  message: string
  provider: string | null
  model: string | null
  status: number | null
  code: string | null
  retry_after_ms: number | null
  retry: NonNullable<ErrorDetails['retry']>
  phase: NonNullable<ErrorDetails['phase']>
  attempts: { provider: string; model: string; kind: ErrorKind; message: string; elapsed_ms: number }[]
  failure?: number
}

/** The exception that an error of the library means. */
export function errorOf(json: ErrorJson, kept: Kept): SyntraError {
  const details: ErrorDetails = {
    provider: json.provider ?? undefined,
    model: json.model ?? undefined,
    status: json.status ?? undefined,
    code: json.code ?? undefined,
    retryAfterMs: json.retry_after_ms ?? undefined,
    retry: json.retry,
    phase: json.phase,
    attempts: (json.attempts ?? []).map(({ elapsed_ms, ...attempt }) => ({ ...attempt, elapsedMs: elapsed_ms })),
  }
  if (json.failure !== undefined && kept.has(json.failure)) details.cause = kept.get(json.failure)
  return new (errorClasses[json.kind] ?? SyntraError)(json.message, details)
}

/** Turns what the native half throws into what we throw. */
export function thrown(error: unknown, kept: Kept): unknown {
  const text = error instanceof Error ? error.message : ''
  return text.startsWith('@syntra:') ? errorOf(JSON.parse(text.slice(8)) as ErrorJson, kept) : error
}
