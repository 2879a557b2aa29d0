//! Hostile bytes, committed and made up, in every decoder.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod corpus;
mod damage;
