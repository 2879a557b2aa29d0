//! Contract wallets on a real chain. `cargo xtask chain` starts one, says where it is in `SUBROSA_ANVIL`, and runs
//! these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails its test")]

mod abi;
mod chain;
mod client;
mod relay;
mod validator;
mod wallets;
