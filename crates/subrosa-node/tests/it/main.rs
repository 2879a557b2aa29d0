//! What a delivery node promises (transport §10), seen from outside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "helpers of tests stop the test"
)]

mod crash;
mod identity;
mod malformed;
mod messages;
mod random;
mod served;
mod streams;
mod support;
mod validation;
mod vectors;
mod welcomes;
