//! What an adder would find when it looks at somebody's key package (identity §10.2).

use subrosa_types::{InboxId, InstallationId, UnixNanos};

use crate::{KeyPackageError, VerifiedKeyPackage};

/// How long a key package is valid, in seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a record")]
pub struct Lifetime {
    /// From this second on.
    pub not_before: u64,
    /// Until this second.
    pub not_after: u64,
}

/// Whether an installation can be added to a group, and if not, why. Those that cannot are left out and listed as
/// failed installations (identity §10.2).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum KeyPackageStatus {
    /// It can be added.
    Valid(Lifetime),
    /// The network has no package of it.
    Missing,
    /// Its package was valid for too long ago: it has not renewed it.
    Expired {
        /// When it ended, in seconds since the Unix epoch.
        not_after: u64,
    },
    /// The package is of another installation, or names another inbox.
    WrongOwner {
        /// Whose leaf signature key it carries.
        installation: InstallationId,
        /// Which inbox its credential names.
        inbox: InboxId,
    },
    /// The package breaks a rule.
    Invalid(KeyPackageError),
}

impl KeyPackageStatus {
    /// What the answer of the network for `installation` of `inbox` is worth at the time `now`; `None` or empty bytes
    /// stand for no package.
    #[must_use]
    pub fn of(answer: Option<&[u8]>, installation: &InstallationId, inbox: &InboxId, now: UnixNanos) -> Self {
        let Some(bytes) = answer.filter(|bytes| !bytes.is_empty()) else { return Self::Missing };
        match VerifiedKeyPackage::verify(bytes, now) {
            Ok(package) if package.is_of(installation, inbox) => {
                Self::Valid(Lifetime { not_before: package.not_before(), not_after: package.not_after() })
            }
            Ok(package) => Self::WrongOwner { installation: package.installation(), inbox: package.inbox() },
            Err(KeyPackageError::Expired { not_after, .. }) => Self::Expired { not_after },
            Err(error) => Self::Invalid(error),
        }
    }

    /// Whether the installation can be added to a group.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use subrosa_identity::InstallationKey;

    use super::*;
    use crate::{NewKeyPackage, Randomness};

    #[test]
    fn a_package_is_worth_what_it_says_and_when() {
        let (inbox, key) = (InboxId::from_bytes([1; 32]), InstallationKey::from_seed([2; 32]));
        let made = UnixNanos::from_nanos(1_800_000_000_000_000_000);
        let package = NewKeyPackage::create(&inbox, &key, made, &Randomness::os()).unwrap();
        let at = |answer, installation, inbox, now| KeyPackageStatus::of(answer, &installation, &inbox, now);
        let bytes = Some(package.bytes.as_slice());
        let not_after = 1_800_000_000 + 84 * 24 * 60 * 60;
        let lifetime = Lifetime { not_before: 1_800_000_000 - 60 * 60, not_after };
        assert_eq!(at(bytes, key.id(), inbox, made), KeyPackageStatus::Valid(lifetime));
        for nothing in [None, Some(&[][..])] {
            assert_eq!(at(nothing, key.id(), inbox, made), KeyPackageStatus::Missing);
        }
        let owner = KeyPackageStatus::WrongOwner { installation: key.id(), inbox };
        assert_eq!(at(bytes, InstallationKey::from_seed([3; 32]).id(), inbox, made), owner);
        assert_eq!(at(bytes, key.id(), InboxId::from_bytes([4; 32]), made), owner);
        let later = made.plus(Duration::from_secs(85 * 24 * 60 * 60));
        assert_eq!(at(bytes, key.id(), inbox, later), KeyPackageStatus::Expired { not_after });
        let earlier = UnixNanos::from_nanos(made.as_nanos() - 2 * 60 * 60 * 1_000_000_000);
        let early = KeyPackageError::NotYetValid { not_before: lifetime.not_before, now: 1_800_000_000 - 2 * 60 * 60 };
        assert_eq!(at(bytes, key.id(), inbox, earlier), KeyPackageStatus::Invalid(early));
        let malformed = KeyPackageStatus::Invalid(KeyPackageError::Malformed);
        assert_eq!(at(Some(&[1, 2, 3]), key.id(), inbox, made), malformed);
        assert_eq!(crate::key_package_reference(&package.bytes), Ok(package.hash_ref));
    }
}
