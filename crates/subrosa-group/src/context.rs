//! The XMTP part of a group context: four extensions, typed (groups §2).

use openmls::{
    extensions::{Extension, Extensions, UnknownExtension},
    group::GroupContext,
};

use crate::profile;

mod immutable;
mod membership;
mod mutable;
mod policy;

pub use immutable::{ConversationKind, DmMembers, ImmutableMetadata};
pub use membership::Membership;
pub use mutable::{Attribute, Disappearing, MutableMetadata, attribute};
pub use policy::{BasePolicy, Policy, PolicyPreset, PolicySet, Role};

/// Why one of the extensions cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// The group context does not hold it.
    #[error("extension {0:#06x} is missing")]
    Missing(u16),
    /// Its bytes are not the message they should be.
    #[error("extension {0:#06x} cannot be decoded")]
    Malformed(u16),
    /// The conversation type is 0 or unknown (groups §2.2).
    #[error("conversation type {0} is unknown")]
    ConversationType(i32),
    /// One of the lists, policies or metadata fields that must be present is absent (groups §2.3, §2.5).
    #[error("extension {0:#06x} lacks a required field")]
    FieldMissing(u16),
    /// A policy is unset, empty or unknown (groups §2.5).
    #[error("a policy is unset, empty or unknown")]
    Policy,
    /// A key of the membership map is not an inbox id.
    #[error("a member is not named by an inbox id")]
    InboxId,
}

/// What a group context says, each extension on its own: a group may go on without a readable one (groups §10.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Context {
    immutable: Result<ImmutableMetadata, ContextError>,
    mutable: Result<MutableMetadata, ContextError>,
    membership: Result<Membership, ContextError>,
    permissions: Result<PolicySet, ContextError>,
}

impl Context {
    pub(crate) fn read(extensions: &Extensions<GroupContext>) -> Self {
        let find = |code| raw(extensions, code).ok_or(ContextError::Missing(code));
        Self {
            immutable: find(profile::IMMUTABLE_METADATA).and_then(ImmutableMetadata::from_bytes),
            mutable: find(profile::MUTABLE_METADATA).and_then(MutableMetadata::from_bytes),
            membership: find(profile::MEMBERSHIP).and_then(Membership::from_bytes),
            permissions: find(profile::PERMISSIONS).and_then(PolicySet::from_bytes),
        }
    }

    /// Kind, creator and DM members (groups §2.2).
    ///
    /// # Errors
    /// [`ContextError`] when the extension is missing or cannot be read.
    pub fn immutable(&self) -> Result<&ImmutableMetadata, ContextError> {
        self.immutable.as_ref().map_err(|e| *e)
    }

    /// Attributes and admin lists (groups §2.3).
    ///
    /// # Errors
    /// [`ContextError`] when the extension is missing or cannot be read.
    pub fn mutable(&self) -> Result<&MutableMetadata, ContextError> {
        self.mutable.as_ref().map_err(|e| *e)
    }

    /// Members and failed installations (groups §2.4).
    ///
    /// # Errors
    /// [`ContextError`] when the extension is missing or cannot be read.
    pub fn membership(&self) -> Result<&Membership, ContextError> {
        self.membership.as_ref().map_err(|e| *e)
    }

    /// Who may do what (groups §2.5).
    ///
    /// # Errors
    /// [`ContextError`] when the extension is missing or cannot be read.
    pub fn permissions(&self) -> Result<&PolicySet, ContextError> {
        self.permissions.as_ref().map_err(|e| *e)
    }
}

/// Extensions a commit replaces; each replaced one moves to the end of the list (groups §2.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ContextChange {
    /// New attributes and admin lists.
    pub mutable: Option<MutableMetadata>,
    /// New members and failed installations.
    pub membership: Option<Membership>,
    /// New permissions.
    pub permissions: Option<PolicySet>,
}

impl ContextChange {
    /// Whether nothing is replaced.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.mutable.is_none() && self.membership.is_none() && self.permissions.is_none()
    }

    /// The whole new list: every proposal carries all extensions (groups §2.1).
    pub(crate) fn apply(&self, current: &Extensions<GroupContext>) -> Vec<Extension> {
        let mut all: Vec<Extension> = current.iter().cloned().collect();
        let mut replace = |code: u16, body: Vec<u8>| {
            all.retain(|extension| u16::from(extension.extension_type()) != code);
            all.push(unknown(code, body));
        };
        if let Some(mutable) = &self.mutable {
            replace(profile::MUTABLE_METADATA, mutable.to_bytes());
        }
        if let Some(permissions) = &self.permissions {
            replace(profile::PERMISSIONS, permissions.to_bytes());
        }
        if let Some(membership) = &self.membership {
            replace(profile::MEMBERSHIP, membership.to_bytes());
        }
        all
    }
}

/// The body of an extension that the MLS library does not know.
pub(crate) fn raw(extensions: &Extensions<GroupContext>, code: u16) -> Option<&[u8]> {
    extensions.unknown(code).map(|extension| extension.0.as_slice())
}

pub(crate) const fn unknown(code: u16, body: Vec<u8>) -> Extension {
    Extension::Unknown(code, UnknownExtension(body))
}
