//! The simulated world: many clients and one node in one process, real wallets, a real node, real databases, and
//! faults where a test wants them. For tests only.
//!
//! - [`World`]: a node and the people around it
//! - [`Person`]: a wallet with one installation, which can be dropped and opened again from disk
//! - [`Faults`]: a network that fails in a chosen place
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exhaustive_enums,
    reason = "test support: a failure stops the test, and nobody outside matches on it"
)]

mod faults;
mod view;
mod world;

pub use faults::{Fault, Faults};
pub use view::{View, agree};
pub use world::{Person, World};
