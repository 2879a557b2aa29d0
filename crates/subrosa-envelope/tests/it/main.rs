//! Behaviour of the envelope codecs, through the public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test stops")]

mod against_openmls;
mod public_messages;
mod vectors;
