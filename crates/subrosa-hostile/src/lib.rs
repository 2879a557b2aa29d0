//! Feeds hostile bytes to everything that a peer or a node controls.
//!
//! One function per decoder: bytes in, and out whether they were accepted. Each asserts what must hold for any bytes
//! at all, so a panic is a finding. The same functions run on the committed corpus and under proptest (this crate's
//! tests), and under libFuzzer (`fuzz/`, `cargo xtask fuzz`).
//!
//! - [`TARGETS`]: the functions by name
//! - [`seeds`]: well-formed input for each, from the recorded vectors
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "for tests: a panic is how a finding is told"
)]

mod identity;
mod mls;
mod node;
mod parts;
mod seeds;
mod texts;
mod wire;

pub use identity::{identity_signature, identity_update, inbox_log};
pub use mls::{context, group_open, key_package, welcome_open, welcome_unwrap};
pub use node::{node_answer, node_requests};
pub use parts::{join, split};
pub use seeds::seeds;
pub use texts::texts;
pub use wire::{commit_log, content, group_message, message_header, plaintext, welcome, welcome_plaintext};

/// One decoder under test: bytes in, and out whether they were accepted.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name, which is also that of its fuzz target and of its folder in the corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("commit_log", commit_log),
    ("content", content),
    ("context", context),
    ("group_message", group_message),
    ("group_open", group_open),
    ("identity_signature", identity_signature),
    ("identity_update", identity_update),
    ("inbox_log", inbox_log),
    ("key_package", key_package),
    ("message_header", message_header),
    ("node_answer", node_answer),
    ("node_requests", node_requests),
    ("plaintext", plaintext),
    ("texts", texts),
    ("welcome", welcome),
    ("welcome_open", welcome_open),
    ("welcome_plaintext", welcome_plaintext),
    ("welcome_unwrap", welcome_unwrap),
];
