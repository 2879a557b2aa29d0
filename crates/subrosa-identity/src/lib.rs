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
//!
//! A wallet creates an inbox with one installation, and whoever reads the log gets to know it:
//!
//! ```
//! use subrosa_identity::{
//!     ChainVerdicts, DEFAULT_NONCE, IdentityUpdate, InboxLog, InstallationKey, SignatureRequest, WalletKey, inbox_id,
//! };
//! use subrosa_types::{SequenceId, UnixNanos};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let wallet = WalletKey::from_bytes(&[7; 32])?;
//! let installation = InstallationKey::from_seed([9; 32]);
//! let owner = wallet.identifier();
//! let inbox = inbox_id(&owner, DEFAULT_NONCE)?;
//!
//! // Build: the actions fix the text, whoever is named signs it, in any order.
//! let now = UnixNanos::from_nanos(1_735_689_600_000_000_000);
//! let mut request = SignatureRequest::builder(inbox, now)
//!     .create_inbox(owner.clone(), DEFAULT_NONCE)
//!     .add_association(installation.id(), &owner)
//!     .request();
//! request.sign_with_installation(&installation)?;
//! request.add_wallet_signature(&wallet.sign(request.text()))?;
//! let bytes = request.build()?.to_bytes();
//!
//! // Replay: decode, verify, apply. No step can be left out, each has its own errors.
//! let update = IdentityUpdate::from_bytes(&bytes)?;
//! assert!(update.chain_checks().is_empty(), "no contract wallet signed, so no chain has to be asked");
//! let verified = update.verify(&ChainVerdicts::none())?;
//! let mut log = InboxLog::new(inbox);
//! log.push(SequenceId(1), &verified)?;
//! let state = log.latest()?;
//! assert!(state.has_installation(&installation.id()));
//! assert_eq!(*state.recovery_identifier(), owner);
//! # Ok(())
//! # }
//! ```
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
pub use identifier::{Identifier, IdentifierError, MemberIdentifier, Passkey, normalise_all};
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
