//! What an intent asks for.

/// What an intent asks for; the number is the one stored (sync §2.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum IntentKind {
    /// Send one application message.
    SendMessage,
    /// Renew our own leaf keys.
    KeyUpdate,
    /// Change one metadata attribute.
    MetadataUpdate,
    /// Change who is in the group, or bring the tree up to date with the members' installations.
    UpdateGroupMembership,
    /// Change the admin or super-admin list.
    UpdateAdminList,
    /// Change one permission policy.
    UpdatePermission,
    /// Remove and add the same installations, so that they start afresh.
    ReaddInstallations,
}

/// Which kind of MLS message carries the payload; this alone decides how it ages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "MLS knows no third class that we would send")]
pub enum PayloadClass {
    /// A commit: takes effect in exactly one epoch.
    Commit,
    /// An application message: readable for a few epochs.
    Message,
}

impl IntentKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::SendMessage,
        Self::KeyUpdate,
        Self::MetadataUpdate,
        Self::UpdateGroupMembership,
        Self::UpdateAdminList,
        Self::UpdatePermission,
        Self::ReaddInstallations,
    ];

    /// The stored number, 1 to 7.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::SendMessage => 1,
            Self::KeyUpdate => 2,
            Self::MetadataUpdate => 3,
            Self::UpdateGroupMembership => 4,
            Self::UpdateAdminList => 5,
            Self::UpdatePermission => 6,
            Self::ReaddInstallations => 7,
        }
    }

    /// The kind with this number; `None` for rows of a newer release, which are left alone (sync §2.1).
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// How its payload travels.
    #[must_use]
    pub const fn class(self) -> PayloadClass {
        match self {
            Self::SendMessage => PayloadClass::Message,
            Self::KeyUpdate
            | Self::MetadataUpdate
            | Self::UpdateGroupMembership
            | Self::UpdateAdminList
            | Self::UpdatePermission
            | Self::ReaddInstallations => PayloadClass::Commit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_stable_and_invertible() {
        for (index, kind) in IntentKind::ALL.into_iter().enumerate() {
            assert_eq!(usize::try_from(kind.number()).unwrap(), index + 1);
            assert_eq!(IntentKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(IntentKind::from_number(8), None);
    }

    #[test]
    fn only_messages_travel_as_messages() {
        for kind in IntentKind::ALL {
            assert_eq!(kind.class() == PayloadClass::Message, kind == IntentKind::SendMessage);
        }
    }
}
