//! Carrying a plan out: attempts and fallback before the first content event.
//!
//! May use [`crate::chat`], [`crate::error`], [`crate::provider`] and [`crate::router`].
