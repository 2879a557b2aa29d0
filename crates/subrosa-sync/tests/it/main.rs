//! The machines alone: no network, no database, only inputs and steps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails its test")]

mod arriving;
mod receiving;
mod shell;
