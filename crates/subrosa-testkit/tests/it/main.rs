//! Whole clients over a whole node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails its test")]

mod crash;
mod due;
mod faults;
mod registration;
mod streams;
mod talk;
