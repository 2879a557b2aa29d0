//! What an intent wants, enough to build its payload from scratch in any later epoch (sync §2.2).

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use subrosa_intent::IntentKind;
use subrosa_proto::xmtp::mls::database as proto;
use subrosa_types::{InboxId, InstallationId, SequenceId};

/// The data of an intent, by kind.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "building a payload must handle every kind")]
pub enum IntentData {
    /// A serialised `PlaintextEnvelope` to encrypt and send.
    SendMessage(Vec<u8>),
    /// Renew our own leaf.
    KeyUpdate,
    /// Set one attribute.
    Metadata {
        /// Attribute key (groups §2.3).
        key: String,
        /// Its new value.
        value: String,
    },
    /// Change the membership.
    Membership(MembershipUpdate),
    /// Change a list of admins.
    Admins {
        /// How.
        change: AdminChange,
        /// Whose entry.
        inbox: InboxId,
    },
    /// Change one permission policy.
    Permission {
        /// Which policy.
        policy: PolicyTarget,
        /// What it becomes.
        option: PolicyOption,
    },
    /// Remove and add these installations.
    Readd(BTreeSet<InstallationId>),
}

/// A change of the membership extension (groups §4.3).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MembershipUpdate {
    /// Inboxes to add or bring up to date, with the identity-log position to reach.
    pub updates: BTreeMap<InboxId, SequenceId>,
    /// Inboxes to remove.
    pub removed: BTreeSet<InboxId>,
    /// Installations known to have no usable key package.
    pub failed: BTreeSet<InstallationId>,
}

impl MembershipUpdate {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.updates.is_empty() && self.removed.is_empty() && self.failed.is_empty()
    }
}

/// How a list of admins changes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "two lists, two directions")]
pub enum AdminChange {
    /// Into the admin list.
    AddAdmin,
    /// Out of the admin list.
    RemoveAdmin,
    /// Into the super-admin list.
    AddSuperAdmin,
    /// Out of the super-admin list.
    RemoveSuperAdmin,
}

/// Which policy changes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the policies are the protocol's")]
pub enum PolicyTarget {
    /// Adding members.
    AddMember,
    /// Removing members.
    RemoveMember,
    /// Adding admins.
    AddAdmin,
    /// Removing admins.
    RemoveAdmin,
    /// Changing this attribute.
    Metadata(String),
}

/// What a policy becomes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the options are the protocol's")]
pub enum PolicyOption {
    /// Everybody; for admin policies written as super admins only (groups §4.5).
    Allow,
    /// Nobody.
    Deny,
    /// Admins and super admins.
    Admins,
    /// Super admins.
    SuperAdmins,
}

/// The stored data are not of this release's form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("undecodable data of an intent")]
pub struct IntentDataError;

impl IntentData {
    /// The kind these data belong to.
    #[must_use]
    pub const fn kind(&self) -> IntentKind {
        match self {
            Self::SendMessage(_) => IntentKind::SendMessage,
            Self::KeyUpdate => IntentKind::KeyUpdate,
            Self::Metadata { .. } => IntentKind::MetadataUpdate,
            Self::Membership(_) => IntentKind::UpdateGroupMembership,
            Self::Admins { .. } => IntentKind::UpdateAdminList,
            Self::Permission { .. } => IntentKind::UpdatePermission,
            Self::Readd(_) => IntentKind::ReaddInstallations,
        }
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::SendMessage(payload) => {
                let v1 = proto::send_message_data::V1 { payload_bytes: payload.clone() };
                proto::SendMessageData { version: Some(proto::send_message_data::Version::V1(v1)) }.encode_to_vec()
            }
            Self::KeyUpdate => Vec::new(),
            Self::Metadata { key, value } => {
                let v1 = proto::update_metadata_data::V1 { field_name: key.clone(), field_value: value.clone() };
                proto::UpdateMetadataData { version: Some(proto::update_metadata_data::Version::V1(v1)) }
                    .encode_to_vec()
            }
            Self::Membership(update) => {
                let v1 = proto::update_group_membership_data::V1 {
                    membership_updates: update.updates.iter().map(|(inbox, at)| (inbox.to_hex(), at.0)).collect(),
                    removed_members: update.removed.iter().map(InboxId::to_hex).collect(),
                    failed_installations: update.failed.iter().map(|id| id.as_bytes().to_vec()).collect(),
                };
                proto::UpdateGroupMembershipData { version: Some(proto::update_group_membership_data::Version::V1(v1)) }
                    .encode_to_vec()
            }
            Self::Admins { change, inbox } => {
                let v1 = proto::update_admin_lists_data::V1 {
                    admin_list_update_type: change.number(),
                    inbox_id: inbox.to_hex(),
                };
                proto::UpdateAdminListsData { version: Some(proto::update_admin_lists_data::Version::V1(v1)) }
                    .encode_to_vec()
            }
            Self::Permission { policy, option } => {
                let v1 = proto::update_permission_data::V1 {
                    permission_update_type: policy.number(),
                    permission_policy_option: option.number(),
                    metadata_field_name: match policy {
                        PolicyTarget::Metadata(key) => Some(key.clone()),
                        _ => None,
                    },
                };
                proto::UpdatePermissionData { version: Some(proto::update_permission_data::Version::V1(v1)) }
                    .encode_to_vec()
            }
            Self::Readd(installations) => {
                let v1 = proto::readd_installations_data::V1 {
                    readded_installations: installations.iter().map(|id| id.as_bytes().to_vec()).collect(),
                };
                proto::ReaddInstallationsData { version: Some(proto::readd_installations_data::Version::V1(v1)) }
                    .encode_to_vec()
            }
        }
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`IntentDataError`] when the row was written by another release or is damaged.
    pub fn from_bytes(kind: IntentKind, bytes: &[u8]) -> Result<Self, IntentDataError> {
        Self::decode(kind, bytes).ok_or(IntentDataError)
    }

    fn decode(kind: IntentKind, bytes: &[u8]) -> Option<Self> {
        Some(match kind {
            IntentKind::SendMessage => {
                let proto::send_message_data::Version::V1(v1) = proto::SendMessageData::decode(bytes).ok()?.version?;
                Self::SendMessage(v1.payload_bytes)
            }
            IntentKind::KeyUpdate => Self::KeyUpdate,
            IntentKind::MetadataUpdate => {
                let proto::update_metadata_data::Version::V1(v1) =
                    proto::UpdateMetadataData::decode(bytes).ok()?.version?;
                Self::Metadata { key: v1.field_name, value: v1.field_value }
            }
            IntentKind::UpdateGroupMembership => {
                let proto::update_group_membership_data::Version::V1(v1) =
                    proto::UpdateGroupMembershipData::decode(bytes).ok()?.version?;
                let updates =
                    v1.membership_updates.iter().map(|(inbox, at)| Some((inbox.parse().ok()?, SequenceId(*at))));
                let removed = v1.removed_members.iter().map(|inbox| inbox.parse().ok());
                Self::Membership(MembershipUpdate {
                    updates: updates.collect::<Option<_>>()?,
                    removed: removed.collect::<Option<_>>()?,
                    failed: installations(&v1.failed_installations)?,
                })
            }
            IntentKind::UpdateAdminList => {
                let proto::update_admin_lists_data::Version::V1(v1) =
                    proto::UpdateAdminListsData::decode(bytes).ok()?.version?;
                Self::Admins {
                    change: AdminChange::from_number(v1.admin_list_update_type)?,
                    inbox: v1.inbox_id.parse().ok()?,
                }
            }
            IntentKind::UpdatePermission => {
                let proto::update_permission_data::Version::V1(v1) =
                    proto::UpdatePermissionData::decode(bytes).ok()?.version?;
                Self::Permission {
                    policy: PolicyTarget::from_number(v1.permission_update_type, v1.metadata_field_name)?,
                    option: PolicyOption::from_number(v1.permission_policy_option)?,
                }
            }
            IntentKind::ReaddInstallations => {
                let proto::readd_installations_data::Version::V1(v1) =
                    proto::ReaddInstallationsData::decode(bytes).ok()?.version?;
                Self::Readd(installations(&v1.readded_installations)?)
            }
            _ => return None,
        })
    }
}

fn installations(raw: &[Vec<u8>]) -> Option<BTreeSet<InstallationId>> {
    raw.iter().map(|id| InstallationId::from_slice(id).ok()).collect()
}

impl AdminChange {
    const ALL: [Self; 4] = [Self::AddAdmin, Self::RemoveAdmin, Self::AddSuperAdmin, Self::RemoveSuperAdmin];

    const fn number(self) -> i32 {
        match self {
            Self::AddAdmin => 1,
            Self::RemoveAdmin => 2,
            Self::AddSuperAdmin => 3,
            Self::RemoveSuperAdmin => 4,
        }
    }

    fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|change| change.number() == number)
    }
}

impl PolicyTarget {
    const fn number(&self) -> i32 {
        match self {
            Self::AddMember => 1,
            Self::RemoveMember => 2,
            Self::AddAdmin => 3,
            Self::RemoveAdmin => 4,
            Self::Metadata(_) => 5,
        }
    }

    fn from_number(number: i32, field: Option<String>) -> Option<Self> {
        match number {
            1 => Some(Self::AddMember),
            2 => Some(Self::RemoveMember),
            3 => Some(Self::AddAdmin),
            4 => Some(Self::RemoveAdmin),
            5 => field.map(Self::Metadata),
            _ => None,
        }
    }
}

impl PolicyOption {
    const ALL: [Self; 4] = [Self::Allow, Self::Deny, Self::Admins, Self::SuperAdmins];

    const fn number(self) -> i32 {
        match self {
            Self::Allow => 1,
            Self::Deny => 2,
            Self::Admins => 3,
            Self::SuperAdmins => 4,
        }
    }

    fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|option| option.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_storage() {
        let inbox = InboxId::from_bytes([7; 32]);
        let installation = InstallationId::from_bytes([9; 32]);
        let membership = MembershipUpdate {
            updates: [(inbox, SequenceId(12))].into(),
            removed: [InboxId::from_bytes([8; 32])].into(),
            failed: [installation].into(),
        };
        for data in [
            IntentData::SendMessage(vec![1, 2, 3]),
            IntentData::KeyUpdate,
            IntentData::Metadata { key: "group_name".into(), value: "rose".into() },
            IntentData::Membership(membership),
            IntentData::Admins { change: AdminChange::RemoveSuperAdmin, inbox },
            IntentData::Permission { policy: PolicyTarget::AddMember, option: PolicyOption::Admins },
            IntentData::Permission { policy: PolicyTarget::Metadata("x".into()), option: PolicyOption::Deny },
            IntentData::Readd([installation].into()),
        ] {
            assert_eq!(IntentData::from_bytes(data.kind(), &data.to_bytes()), Ok(data));
        }
    }

    #[test]
    fn a_message_is_stored_as_the_specification_shows() {
        // sync §2.2: SendMessageData of a 68-byte envelope starts 0a460a44.
        let bytes = IntentData::SendMessage(vec![0x55; 68]).to_bytes();
        assert_eq!(&bytes[..4], &[0x0a, 0x46, 0x0a, 0x44]);
    }

    #[test]
    fn damaged_rows_are_refused() {
        assert_eq!(IntentData::from_bytes(IntentKind::SendMessage, &[]), Err(IntentDataError));
        assert_eq!(IntentData::from_bytes(IntentKind::UpdateGroupMembership, &[0xff]), Err(IntentDataError));
    }
}
