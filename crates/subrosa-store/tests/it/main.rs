//! What the store promises, through its public API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test stops")]

mod apply;
mod conversations;
mod durability;
#[cfg(feature = "encryption")]
mod formats;
mod identity;
mod intents;
mod messages;
mod open;
#[cfg(feature = "encryption")]
mod sample;
mod support;
