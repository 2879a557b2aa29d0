//! Typed XMTP envelopes: group messages, welcomes, key packages, the commit log, and their limits.
//!
//! Bytes and protobuf messages in, values out; no I/O, no clock. Decoders refuse what the network must not store
//! (envelopes §8), so that a node and a client judge with the same code. Identity updates live in the crate that
//! verifies them.
//!
//! - [`MessageHeader`]: what a group message shows without keys (envelopes §4.1)
//! - [`GroupMessageInput`], [`GroupMessage`]: as sent and as delivered
//! - [`WelcomeInput`], [`Welcome`]: as sent and as delivered (envelopes §4.2)
//! - [`WelcomeMetadata`], [`WelcomePointer`]: plaintexts inside welcomes
//! - [`KeyPackageUpload`]: a key package on its way to the node (envelopes §4.3)
//! - [`CommitLogUpload`], [`CommitLogItem`], [`CommitLogEntry`]: the side channel for fork detection (envelopes §4.5)
//! - [`PayloadHash`], [`DedupeKey`]: recognising what was seen before (envelopes §6)
//! - [`hmac`]: sender HMACs, for push filtering (envelopes §6.3)
//! - [`limits`]: every size limit, with its reason
mod commit_log;
mod error;
mod group_message;
mod hash;
mod header;
pub mod hmac;
mod key_package;
pub mod limits;
mod public_message;
mod reader;
mod welcome;
mod welcome_plaintext;

pub use commit_log::{CommitLogEntry, CommitLogItem, CommitLogUpload, CommitResult, SignedCommitLogEntry};
pub use error::{DecodeError, Field, HeaderError};
pub use group_message::{GroupMessage, GroupMessageInput};
pub use hash::{DedupeKey, PayloadHash};
pub use header::{ContentKind, MessageHeader, WireFormat};
pub use key_package::KeyPackageUpload;
pub use welcome::{Welcome, WelcomeInput, WrapperAlgorithm};
pub use welcome_plaintext::{WelcomeMetadata, WelcomePointer};
