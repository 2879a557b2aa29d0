//! Behaviour through the public API, in memory; vectors of the official client.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop at what they do not expect")]
mod groups;
mod refusals;
mod vectors_key_packages;
mod vectors_replay;
mod welcomes;
mod world;
