//! The XMTP machines. A machine is a value: one input in, one [`Step`] out. The shell makes the step durable, then
//! makes it visible. No I/O, no clock, no async.
//!
//! - [`Change`], [`Step`], [`Outgoing`], [`Event`]: what a step asks for
//! - [`Conversation`], [`Message`], [`Intent`] and the other records a client keeps
mod change;
mod model;

pub use change::{Change, Durability, Event, Outgoing, PayloadChange, Step};
pub use model::{
    CommitLogRow, Consent, ConsentState, Conversation, ConversationKind, Delivery, Entity, Held, Intent, IntentId,
    MembershipState, Message, MessageKind, NewIntent, Payload, Task,
};
