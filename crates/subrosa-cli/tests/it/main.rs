//! The command as its users run it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod demo;
mod inspect;
mod node;
mod run;
