//! The XMTP machines. A machine is a value: one input in, one [`Step`] out. The shell makes the step durable, then
//! makes it visible. No I/O, no clock, no async.
//!
//! - [`Change`], [`Step`], [`Event`]: what a step asks for
//! - [`Conversation`], [`Message`], [`Intent`] and the other records a client keeps
mod change;
mod create;
mod data;
mod effects;
mod machine;
mod model;
mod post_commit;
mod publish;
mod receive;
mod transcript;
mod welcome;

pub use change::{Change, Durability, Event, PayloadChange, Step};
pub use create::{create, dm_id};
pub use data::{AdminChange, IntentData, IntentDataError, MembershipUpdate, PolicyOption, PolicyTarget};
pub use machine::{Loaded, Machine, MachineError, Me, PROTOCOL_VERSION, group_entity};
pub use model::{
    CommitLogRow, Consent, ConsentState, Conversation, Delivery, Entity, Held, Intent, IntentId, MembershipState,
    Message, MessageKind, NewIntent, Payload, Task,
};
pub use post_commit::{PostCommit, PostCommitError};
pub use publish::{Built, CannotBuild, KeyPackages};
pub use receive::Received;
pub use subrosa_group::context::ConversationKind;
pub use welcome::{Before, WelcomeSource, arrive, leave_behind, postpone, skip_welcome, welcome_entity};
