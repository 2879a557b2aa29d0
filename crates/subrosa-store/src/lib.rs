//! The database of one installation: everything it keeps, encrypted at rest, so that one transaction covers MLS
//! state, cursors, intents and messages (sync §5).
//!
//! A machine says what should be written, as a list of [`Change`](subrosa_sync::Change)s; [`Store::apply`] writes all
//! of them with their guards in one transaction, or none. Protocol rules live above; here are rows.
//!
//! Methods are blocking and short: a read never waits for a writer, except in memory. Asynchronous code uses
//! [`Store::apply`] for writes and [`Store::run`] for anything that may take longer.
//!
//! - [`Store`], [`Location`], [`Encryption`], [`DatabaseKey`]: opening a database
//! - [`Applied`], [`StoreError`], [`OpenError`]: what came of it
//! - [`ConversationFilter`], [`MessageQuery`], [`LoadedGroup`], [`StoredIdentity`] and the other shapes of answers
//!
//! Feature `encryption`, on by default: SQLCipher, built from source. Without it a key is refused.
mod apply;
mod connection;
mod conversations;
mod cursors;
mod details;
mod error;
mod feed;
mod groups;
mod identity;
mod identity_log;
mod intents;
mod key;
mod key_packages;
mod messages;
mod mls;
#[cfg(test)]
mod plans;
mod registration;
mod schema;
mod store;
mod tasks;
mod value;

pub use apply::Applied;
pub use connection::{BUSY_TIMEOUT, FORMAT};
pub use conversations::{ConversationFilter, Duplicates, Kinds};
pub use error::{OpenError, StoreError};
pub use feed::MessageMark;
pub use groups::{LoadedGroup, LoggedCommit, PendingRemoval};
pub use identity::{PendingRegistration, StoredIdentity};
pub use identity_log::LoggedUpdate;
pub use key::{DatabaseKey, Encryption, Location};
pub use key_packages::KeyPackageRecord;
pub use messages::{MessageOrder, MessageQuery};
pub use store::Store;
