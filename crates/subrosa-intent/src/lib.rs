//! The life of an intent: one change the local user asked for in one group (sync §2).
//!
//! An intent is written before anything is sent and stays until the group's log shows its effect, or shows that it
//! is impossible. This crate is the rule table: what an intent is ([`IntentKind`]), where it stands
//! ([`IntentState`]), and what each [`IntentEvent`] does to it ([`step`]). It knows no MLS, no database and no
//! network; payloads are opaque and only their [`PayloadClass`] matters.
mod kind;
mod rules;
mod state;

pub use kind::{IntentKind, PayloadClass};
pub use rules::{Fate, MAX_ATTEMPTS, MESSAGE_EPOCHS, fate, is_stale};
pub use state::{Effect, IllegalTransition, IntentError, IntentEvent, IntentState, Standing, step};
