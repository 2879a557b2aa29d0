//! XMTP for applications: clients, groups, direct messages, streams.
//!
//! A [`Client`] is one installation of one inbox: it has a database of its own and reaches the network through a
//! [`Network`]. Everything it is asked to send is durable before it leaves, and sent until the network has it; what
//! it receives is durable before its cursor moves. So it may be killed at any time and opened again.
//!
//! - [`Client::builder`], [`ClientBuilder`], [`Registration`]: opening a client (identity §11)
//! - [`Client`]: the inbox and its identifiers (client §1)
//! - [`IdentityChange`]: a change of an inbox that waits for signatures (identity §7)
//! - [`Inboxes`]: questions about inboxes, and revoking installations, without a client (identity §9.5)
//! - [`Conversations`]: making, finding and syncing conversations (client §2)
//! - [`Conversation`]: one group or direct message (client §3, §4)
//! - [`MessageStream`], [`ConversationStream`]: what happens, as it happens (client §12)
//!
//! Feature `chain` (off by default) adds `ClientBuilder::chains` and `Inboxes::chains`: contract wallets are checked on
//! chains of one's own choice, instead of believing the node (identity §12).
mod builder;
#[cfg(feature = "chain")]
mod chains;
mod changes;
mod client;
mod clock;
mod conversation;
mod conversations;
mod drive;
mod error;
mod groups;
mod identities;
mod identity_change;
mod inboxes;
mod inner;
mod push;
mod registration;
mod standing;
mod streams;
mod subscription;
mod welcomes;
mod workers;

pub use builder::{ClientBuilder, Opening};
pub use changes::GroupOptions;
pub use client::{Client, Reassign};
pub use clock::{Clock, SystemClock};
pub use conversation::{Conversation, DebugInfo, Member, MessageFilter, PermissionLevel};
pub use conversations::{Conversations, ListOptions, ListOrder, SyncSummary};
pub use error::{ChangeError, LookupError, OpenError, RegisterError, SyncError, Unavailable};
pub use identity_change::IdentityChange;
pub use inboxes::Inboxes;
pub use push::HmacKeys;
pub use registration::Registration;
pub use streams::{ConversationStream, MessageStream, StreamOptions};
#[cfg(feature = "chain")]
pub use subrosa_chain::{ChainVerifier, ChainVerifierBuilder, EndpointError};
pub use subrosa_content as content;
pub use subrosa_envelope::limits::{
    IDENTITY_UPDATES_PER_INBOX as MAX_IDENTITY_UPDATES, INBOX_INSTALLATIONS as MAX_INSTALLATIONS,
};
pub use subrosa_group::{KeyPackageError, KeyPackageStatus, Lifetime, Randomness, context::PolicySet};
pub use subrosa_identity::{
    AccountId, AccountIdError, AssociationState, Identifier, IdentifierError, Member as InboxMember, MemberIdentifier,
    PasskeySignature, SignatureKind, UnverifiedSignature, WalletKey, verify_text,
};
pub use subrosa_store::{DatabaseKey, Encryption, Location, MessageOrder};
pub use subrosa_sync::{
    AdminChange, ConsentState, Conversation as ConversationRecord, ConversationKind, Delivery, Held, MembershipState,
    Message, MessageKind, PolicyOption, PolicyTarget,
};
pub use subrosa_transport::{GrpcNetwork, Network, NetworkError};
pub use subrosa_types::{GroupId, InboxId, InstallationId, MessageId, UnixNanos};

/// The example of the readme compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
