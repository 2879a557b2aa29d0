//! The command as its users run it.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod chat;
mod demo;
mod drive;
mod driver;
mod inspect;
mod kill;
mod node;
mod run;
mod verify_inbox;
mod verify_log;
