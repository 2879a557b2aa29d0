//! Positions in ordered logs and the rules by which they move (sync §3).
//!
//! A cursor moves in the same transaction as the effect of what it passes, never back, and never past something
//! that may still have an effect. This crate is the rule table; it knows no database and no intents.
//!
//! - [`EntityKind`]: whose cursor it is
//! - [`Positions`]: where one topic stands, per originator
//! - [`Outcome`] and [`disposition`]: whether the cursor may move
//! - [`check_page`]: whether an answer of a node can be believed
mod page;
mod positions;
mod rules;

pub use page::{PageError, check_page};
pub use positions::{EntityKind, Positions};
pub use rules::{Disposition, Outcome, disposition};
