//! XMTP group state over MLS: creation, commits and their validation, key packages, welcomes, messages (groups).
//!
//! Values in, values out: no network, no disk, no clock. Time and randomness are arguments, identity logs come in a
//! [`Directory`], and what must be stored comes out as [`RowChanges`].
//!
//! - [`NewKeyPackage`], [`VerifiedKeyPackage`]: making and checking key packages
//! - [`Group`]: one group; [`group`] has its operations' inputs and results
//! - [`welcome`]: wrapping and unwrapping welcomes, joining
//! - [`context`]: what a group context says, and how it is changed
//! - [`Refusal`], [`may`], [`expected_installations`]: the rules, for both sides
//! - [`Randomness`], [`RowKey`], [`RowChanges`]: what the shell brings and takes
pub mod context;
mod directory;
pub mod group;
mod hpke;
mod key_package;
mod leaf;
mod parallel;
mod permission;
mod profile;
mod provider;
mod random;
mod refusal;
mod rows;
mod signer;
mod vector;
mod version;
pub mod welcome;

pub use directory::{
    Directory, ExpectedInstallations, IdentityNeed, MembershipError, expected_installations, membership_needs,
};
pub use group::Group;
#[doc(hidden)]
pub use key_package::import_key_package;
pub use key_package::{
    KeyPackageError, KeyPackageStatus, Lifetime, NewKeyPackage, NewKeyPackageError, VerifiedKeyPackage, Wrapper,
    delete_key_package, key_package_reference, key_package_rows, wrapper_row,
};
pub use leaf::{Leaf, Sender};
pub use permission::{Changes, Rules, may};
pub use random::{RandomError, Randomness};
pub use refusal::{Forbidden, Refusal};
pub use rows::{RowChanges, RowError, RowKey};
pub use version::ProtocolVersion;
