//! The wire: the HTTP pool, SSE and NDJSON framing, deadlines, redaction. May use [`crate::error`] and [`crate::chat`].
//!
//! [`HttpClient`] ([`HttpOptions`]: proxy, roots, bounds) sends bytes and brings bytes back within [`Deadlines`]; [`FrameDecoder`] cuts a stream of bytes into
//! [`Frame`]s however the network chopped it; [`retry_after`] reads every way in which servers say when to come back, [`rate_limits`]
//! what they say is left;
//! [`redact`] and [`Secret`] keep keys out of errors, logs and debug output.

mod framing;
mod http;
mod limits;
mod options;
mod patience;
mod redact;
mod retry_after;

pub use framing::{DEFAULT_FRAME_LIMIT, Frame, FrameDecoder, Framing};
pub(crate) use http::after;
pub use http::{Deadlines, HttpClient, HttpReply, HttpResponse, TimeoutStage};
pub use limits::{RateLimits, RateWindow, rate_limits};
pub use options::{HttpOptions, HttpVersion};
pub(crate) use patience::Patience;
pub use redact::{Secret, redact};
pub use retry_after::{parse_duration, retry_after};

#[cfg(test)]
mod pool_tests;
#[cfg(test)]
mod words_tests;
