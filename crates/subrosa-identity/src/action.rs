//! The four actions of an update (identity §3.3).

use crate::{Identifier, MemberIdentifier, UnverifiedSignature};

/// One signed action.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum IdentityAction {
    /// Creates the inbox; the first action of its log.
    CreateInbox {
        /// Who creates it. Becomes a member and the recovery identifier.
        identifier: Identifier,
        /// Nonce of the inbox id (identity §2.3).
        nonce: u64,
        /// By the identifier.
        signature: UnverifiedSignature,
    },
    /// Makes somebody a member.
    AddAssociation {
        /// Who joins.
        new_member: MemberIdentifier,
        /// By a member, or by the recovery identifier.
        existing_member_signature: UnverifiedSignature,
        /// By the one who joins.
        new_member_signature: UnverifiedSignature,
    },
    /// Ends a membership.
    RevokeAssociation {
        /// Who leaves. Need not be a member.
        member: MemberIdentifier,
        /// By the recovery identifier.
        signature: UnverifiedSignature,
    },
    /// Names another recovery identifier.
    ChangeRecovery {
        /// The new one. Does not sign and is not validated.
        new_identifier: Identifier,
        /// By the present recovery identifier.
        signature: UnverifiedSignature,
    },
}

/// What an action does, without its signatures: the part that the signature text shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ActionKind<'a> {
    /// Creates the inbox.
    CreateInbox {
        /// Who creates it.
        identifier: &'a Identifier,
    },
    /// Makes somebody a member.
    AddAssociation {
        /// Who joins.
        new_member: &'a MemberIdentifier,
    },
    /// Ends a membership.
    RevokeAssociation {
        /// Who leaves.
        member: &'a MemberIdentifier,
    },
    /// Names another recovery identifier.
    ChangeRecovery {
        /// The new one.
        new_identifier: &'a Identifier,
    },
}

impl IdentityAction {
    /// What the action does.
    #[must_use]
    pub const fn kind(&self) -> ActionKind<'_> {
        match self {
            Self::CreateInbox { identifier, .. } => ActionKind::CreateInbox { identifier },
            Self::AddAssociation { new_member, .. } => ActionKind::AddAssociation { new_member },
            Self::RevokeAssociation { member, .. } => ActionKind::RevokeAssociation { member },
            Self::ChangeRecovery { new_identifier, .. } => ActionKind::ChangeRecovery { new_identifier },
        }
    }

    /// The signatures, in the order of their fields on the wire.
    pub fn signatures(&self) -> impl Iterator<Item = &UnverifiedSignature> {
        let (first, second) = match self {
            Self::CreateInbox { signature, .. }
            | Self::RevokeAssociation { signature, .. }
            | Self::ChangeRecovery { signature, .. } => (signature, None),
            Self::AddAssociation { existing_member_signature, new_member_signature, .. } => {
                (existing_member_signature, Some(new_member_signature))
            }
        };
        std::iter::once(first).chain(second)
    }
}
