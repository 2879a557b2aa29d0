//! XMTP identity: inbox ids, signatures, updates and the association state machine (identity §2 to §7).
//!
//! Pure values: no I/O, no clock. What a chain has to answer is listed as [`ChainCheck`]s; the caller brings the
//! [`ChainVerdicts`]. Only [`IdentityUpdate::verify`] makes a [`VerifiedUpdate`], and only that can be applied.
//!
//! - [`Identifier`], [`MemberIdentifier`], [`inbox_id`]: who, and how an inbox is named
//! - [`IdentityUpdate`], [`IdentityAction`], [`UnverifiedSignature`]: what the log holds, with its codec
//! - [`VerifiedUpdate`], [`AssociationState`], [`StateDiff`]: what replaying it gives
//! - [`InboxLog`]: the log of one inbox, and its state at every sequence id
//! - [`Examination`], [`LogExaminer`]: the same for people, who want to know every fault and where it is
//! - [`SignatureRequest`]: building an update
//! - [`InstallationKey`], [`WalletKey`]: keys held locally
//! - [`credential_identity`], [`inbox_of_credential`]: the link to MLS
mod action;
mod chain;
mod credential;
mod examine;
mod identifier;
mod inbox;
mod installation;
mod log;
mod request;
mod signature;
mod state;
mod text;
mod update;
mod verify;
mod wallet;
mod wire;

pub use action::{ActionKind, IdentityAction};
pub use chain::{AccountId, AccountIdError, ChainCheck, ChainVerdicts, Verdict};
pub use credential::{CredentialError, credential_identity, inbox_of_credential};
pub use examine::{EntryExamination, EntryVerdict, Examination, LogExaminer, Refusal, SignatureExamination, Slot};
pub use identifier::{Identifier, IdentifierError, MemberIdentifier, Passkey, normalise_all, parse_ethereum_all};
pub use inbox::{DEFAULT_NONCE, InboxIdError, inbox_id};
pub use installation::{InstallationKey, SignatureMismatch, verify_text};
pub use log::{EntryError, InboxLog, InstallationDiff, LogError};
pub use request::{SignatureRequest, SignatureRequestBuilder, SignatureRequestError};
pub use signature::{
    InstallationSignature, LegacyDelegatedSignature, LegacyWalletSignature, PasskeySignature, SignatureKind,
    UnverifiedSignature, VerifiedSignature, recover_ethereum_address,
};
pub use state::{AssociationError, AssociationState, Member, StateDiff};
pub use text::{eip191_hash, utc_seconds};
pub use update::{DecodeError, IdentityUpdate};
pub use verify::{VerifiedUpdate, VerifyError};
pub use wallet::{WalletKey, WalletKeyError};
