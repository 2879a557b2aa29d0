//! The vocabulary of XMTP. Everything the protocol names has a type here, parsed once at the border.
//!
//! No dependencies, no I/O, no clock.
//!
//! - [`InboxId`], [`InstallationId`], [`GroupId`], [`MessageId`]: who and what
//! - [`Topic`]: where an envelope is published (envelopes §2)
//! - [`Cursor`], [`SequenceId`], [`OriginatorId`]: where it stands (envelopes §5)
//! - [`Epoch`], [`UnixNanos`]: when
//! - [`hex`]: the text form of ids
mod clock;
pub mod hex;
mod id;
mod position;
mod topic;

pub use clock::UnixNanos;
pub use id::{GroupId, IdError, InboxId, InstallationId, MessageId};
pub use position::{Cursor, Epoch, OriginatorId, SequenceId};
pub use topic::{Topic, TopicError};
