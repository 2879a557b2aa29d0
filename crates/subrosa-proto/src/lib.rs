//! Protobuf messages of the XMTP wire (envelopes §11), generated from `proto/` and checked in.
//!
//! The modules follow the protobuf packages: [`xmtp::mls::api::v1`] is `xmtp.mls.api.v1`. Messages only: gRPC
//! stubs live in the crates that talk or serve gRPC. Maps are ordered, so that encoding is deterministic
//! (envelopes §9, rule 4).
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::exhaustive_enums, rustdoc::all)]

include!("generated/mod.rs");
