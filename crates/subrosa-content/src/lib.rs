//! XMTP content types and the application plaintext around them.
//!
//! Bytes in, values out; no I/O, no clock. What peers wrote is decoded or refused, never trusted.
//!
//! - [`PlaintextEnvelope`]: the whole plaintext of an application message (envelopes §4.1)
//! - [`message_id`], [`transcript_key`], [`welcome_transcript_key`]: who a message is (envelopes §6.1)
//! - [`EncodedContent`], [`ContentTypeId`]: any content with its type (client §5.1)
//! - [`Content`]: the built-in content types (client §5.2)
//! - [`SealedAttachment`]: a file encrypted for storage outside the network (client §5.4)
mod actions;
mod attachment;
mod attachment_cipher;
mod content;
mod control;
mod encoded;
mod error;
mod group_updated;
mod plaintext;
mod reaction;
mod reply;
mod time;
mod transaction;
mod wallet;

pub use actions::{Action, ActionStyle, Actions, Intent};
pub use attachment::{Attachment, AttachmentSecret, RemoteAttachment};
pub use attachment_cipher::{AttachmentCipherError, SealedAttachment};
pub use content::Content;
pub use control::{DeleteMessage, LeaveRequest};
pub use encoded::{ContentParts, ContentTypeId, EncodedContent};
pub use error::{ContentError, PlaintextError};
pub use group_updated::{GroupUpdated, MetadataFieldChange};
pub use plaintext::{PlaintextEnvelope, message_id, transcript_key, welcome_transcript_key};
pub use reaction::{Reaction, ReactionAction, ReactionSchema};
pub use reply::Reply;
pub use transaction::{TransactionMetadata, TransactionReference};
pub use wallet::{WalletCall, WalletSendCalls};
