//! The verifier in front of endpoints that behave, fail and lie. What a real chain answers is tested elsewhere, with a
//! real chain.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails its test")]

mod answers;
mod configuration;
mod endpoint;
mod failures;
