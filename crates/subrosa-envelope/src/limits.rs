//! Every size limit of the wire, with its unit, reason and section.
//!
//! Limits bind what is produced here. Where a receiver must be lenient, the constant says so.

/// Largest gRPC message a client sends or accepts, in bytes: 25 MiB, the official clients' setting
/// (envelopes §9, transport §2).
pub const GRPC_MESSAGE_BYTES: usize = 26_214_400;

/// Largest `data` of a message that the hosted network documents, in bytes (client §14). Not enforced on receipt.
pub const HOSTED_MESSAGE_BYTES: usize = 1_048_214;

/// Largest payload that goes through the chain of the decentralised network, in bytes: commits and identity
/// updates (envelopes §9).
pub const CHAIN_PAYLOAD_BYTES: usize = 200_000;

/// Longest topic, in bytes (envelopes §2.2).
pub const TOPIC_BYTES: usize = subrosa_types::Topic::MAX;

/// Longest group id, in bytes: the longest that a topic and MLS bookkeeping hold; ours have 16 (envelopes §1).
pub const GROUP_ID_BYTES: usize = subrosa_types::GroupId::MAX;

/// Most items on a page; a query for 0 or more gets this many (transport §4.3).
pub const PAGE_ITEMS: u32 = 100;

/// Most welcomes in one request, so that one request stays below [`GRPC_MESSAGE_BYTES`] (envelopes §4.2).
pub const WELCOMES_PER_REQUEST: usize = 50;

/// Pointers are used for more recipients than this, because two direct welcomes are smaller than a pointee and two
/// pointers (envelopes §4.2).
pub const DIRECT_WELCOMES: usize = 2;

/// Most entries in one upload to commit logs; nodes refuse more (transport §4.7).
pub const COMMIT_LOG_ENTRIES_PER_REQUEST: usize = 10;

/// Most groups in one query of commit logs; nodes refuse more (transport §4.7).
pub const COMMIT_LOG_GROUPS_PER_REQUEST: usize = 20;

/// Most inboxes in a group, checked when members are added (client §14). Not enforced on receipt.
pub const GROUP_MEMBERS: usize = 250;

/// Most installations of an inbox, a rule of identity updates (client §14).
pub const INBOX_INSTALLATIONS: usize = 10;

/// Most updates in an inbox log, enforced by nodes (client §14).
pub const IDENTITY_UPDATES_PER_INBOX: usize = 256;

/// Longest group name, in bytes of UTF-8 (client §3.1). Not enforced on receipt.
pub const GROUP_NAME_BYTES: usize = 100;

/// Longest group description, in bytes of UTF-8 (client §3.1). Not enforced on receipt.
pub const GROUP_DESCRIPTION_BYTES: usize = 1000;

/// Longest image URL, in bytes of UTF-8 (client §3.1). Not enforced on receipt.
pub const GROUP_IMAGE_URL_BYTES: usize = 2048;

/// Longest application data of a group, in bytes of UTF-8 (client §3.1). Not enforced on receipt.
pub const GROUP_APP_DATA_BYTES: usize = 8192;

/// Past epochs whose application messages stay readable; each costs a set of stored secrets (client §14).
pub const PAST_EPOCHS: usize = 3;

/// Length of an HMAC epoch in seconds: 30 days (envelopes §6.3).
pub const HMAC_EPOCH_SECONDS: i64 = 2_592_000;

/// Length of a sender HMAC that is produced here, in bytes; any length is stored and returned (envelopes §6.3).
pub const SENDER_HMAC_BYTES: usize = 32;

/// Public key of an X25519 welcome, in bytes (envelopes §4.2).
pub const X25519_PUBLIC_KEY_BYTES: usize = 32;

/// Public key of an X-Wing welcome, in bytes: ML-KEM-768 and X25519 (envelopes §4.2).
pub const XWING_PUBLIC_KEY_BYTES: usize = 1216;

/// KEM output of an X-Wing welcome, in bytes (envelopes §4.2).
pub const XWING_KEM_OUTPUT_BYTES: usize = 1120;
