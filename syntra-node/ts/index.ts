/** Syntra: one assistant over many language-model providers, with one memory. */

export { Syntra } from './syntra'
export { TurnStream } from './stream'
export type { Attempt, ErrorDetails, ErrorKind } from './errors'
export {
  BadRequestError, CancelledError, ConfigError, ConflictError, ConnectionError, ContentPolicyError, ContextTooLongError, CredentialError,
  DecodeError, EmbeddingError, InvalidInputError, LimitReachedError, ModelUnavailableError, NotFoundError, OverloadedError,
  QuotaExhaustedError, RateLimitError, RegionError, StorageError, SyntraError, TimeoutError, TransientError, TruncatedError,
  UnsupportedError,
} from './errors'
export type * from './types'
export type * from './rooms'
