//! Behaviour of the identity crate through its public interface.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed test stops")]

mod bits;
mod histories;
mod hostile;
mod labels;
mod log;
mod properties;
mod replay;
mod request;
mod signers;
mod vectors_files;
mod vectors_keys;
mod vectors_logs;
mod vectors_passkeys;
mod vectors_signatures;
mod vectors_wallets;
mod vectors_wire;
mod world;
