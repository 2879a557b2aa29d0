//! Behaviour of the content codecs, through the public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test stops")]

mod contents;
mod vectors;
