//! The simulated world: many clients and one node in one process, real wallets, a real node, real databases, and
//! faults where a test wants them. For tests only.
//!
//! - [`World`]: a node and the people around it
//! - [`Person`]: a wallet with one installation, which can be dropped and opened again from disk
//! - [`Faults`]: a network that fails in a chosen place
//! - [`FakeChain`]: a chain whose contract wallets say what a test wants
//! - [`Recorder`]: a network that remembers what was asked of it
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exhaustive_enums,
    reason = "test support: a failure stops the test, and nobody outside matches on it"
)]

mod chain;
mod faults;
mod recorder;
mod view;
mod world;

pub use chain::{FakeChain, Says};
pub use faults::{Fault, Faults, FaultyNetwork};
pub use recorder::{Recorded, RecordedNetwork, Recorder};
pub use view::{View, agree};
pub use world::{Person, World};
