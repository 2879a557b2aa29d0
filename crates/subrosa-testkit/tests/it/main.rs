//! Whole clients over a whole node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed step fails its test")]

mod client_flows;
mod contract_wallets;
mod crash;
mod due;
mod faults;
mod inboxes;
mod registration;
mod streams;
mod talk;
