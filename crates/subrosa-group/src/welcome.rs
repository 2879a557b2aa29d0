//! Welcomes: wrapping, unwrapping, judging, joining (groups §6).
//!
//! Out: [`wrap`]. In: [`WelcomeKeys::unwrap`] gives the MLS Welcome or a pointer to it ([`unwrap_pointee`]),
//! [`WelcomeKeys::open`] stages it, [`OpenedWelcome::needs`] says which identity logs the verdict reads,
//! [`OpenedWelcome::judge`] gives the verdict, [`JudgedWelcome::into_group`] joins.

mod join;
mod judge;
mod unwrap;
mod wrap;

pub use join::{OpenedWelcome, WelcomeError};
pub use judge::{JudgedWelcome, WelcomeRefusal};
pub use unwrap::{UnwrapError, Unwrapped, WelcomeKeys, WelcomePlaintext, unwrap_pointee};
pub use wrap::{Recipient, Wrapped, wrap};
