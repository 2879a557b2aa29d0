//! Permissions, extension `0xff02` (groups §2.5, §2.6).

use std::collections::BTreeMap;

use prost::Message as _;
use subrosa_proto::xmtp::mls::message_contents::{
    GroupMutablePermissionsV1, MembershipPolicy, MetadataPolicy, PermissionsUpdatePolicy, PolicySet as PolicySetProto,
    membership_policy, metadata_policy, permissions_update_policy,
};

use super::{ContextError, attribute};
use crate::profile::PERMISSIONS as CODE;

/// What an inbox is in a group, read from the context before the commit under test (groups §3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Role {
    /// Whether it is in the admin list.
    pub admin: bool,
    /// Whether it is in the super admin list.
    pub super_admin: bool,
}

impl Role {
    /// Whether it is in either list.
    #[must_use]
    pub const fn any_admin(self) -> bool {
        self.admin || self.super_admin
    }
}

/// A policy without children.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BasePolicy {
    /// Every member may. Cannot be written for admin policies.
    Allow,
    /// Nobody may.
    Deny,
    /// Admins and super admins may.
    Admin,
    /// Super admins may.
    SuperAdmin,
}

/// Who may do one thing (groups §2.5).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// A single rule.
    Base(BasePolicy),
    /// All of these must allow it.
    All(Vec<Policy>),
    /// At least one of these must allow it.
    Any(Vec<Policy>),
}

impl From<BasePolicy> for Policy {
    fn from(base: BasePolicy) -> Self {
        Self::Base(base)
    }
}

impl Policy {
    /// Whether an actor with `role` may (groups §3.5).
    #[must_use]
    pub fn allows(&self, role: Role) -> bool {
        match self {
            Self::Base(BasePolicy::Allow) => true,
            Self::Base(BasePolicy::Deny) => false,
            Self::Base(BasePolicy::Admin) => role.any_admin(),
            Self::Base(BasePolicy::SuperAdmin) => role.super_admin,
            Self::All(policies) => policies.iter().all(|policy| policy.allows(role)),
            Self::Any(policies) => policies.iter().any(|policy| policy.allows(role)),
        }
    }
}

/// Who may do what in a group (groups §2.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicySet {
    /// Adding inboxes.
    pub add_member: Policy,
    /// Removing inboxes.
    pub remove_member: Policy,
    /// Changing attributes, by key; keys without entry follow groups §3.2.
    pub update_metadata: BTreeMap<String, Policy>,
    /// Adding admins.
    pub add_admin: Policy,
    /// Removing admins.
    pub remove_admin: Policy,
    /// Changing permissions. Stored, but a super admin is required whatever it says (groups §3.5).
    pub update_permissions: Policy,
}

/// The name a policy set is reported by (groups §2.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PolicyPreset {
    /// Every member may add members and change metadata.
    AllMembers,
    /// Only admins may.
    AdminOnly,
    /// Something else.
    Custom,
}

impl PolicySet {
    /// The default of groups, and the set of sync and oneshot groups (groups §2.6).
    #[must_use]
    pub fn all_members() -> Self {
        use BasePolicy::{Admin, Allow, SuperAdmin};
        Self::preset([Allow, Admin, SuperAdmin, SuperAdmin, SuperAdmin], [Allow, Admin, SuperAdmin])
    }

    /// Only admins change anything (groups §2.6).
    #[must_use]
    pub fn admin_only() -> Self {
        use BasePolicy::{Admin, SuperAdmin};
        Self::preset([Admin, Admin, SuperAdmin, SuperAdmin, SuperAdmin], [Admin, Admin, SuperAdmin])
    }

    /// The set of a DM (groups §2.6).
    #[must_use]
    pub fn dm() -> Self {
        use BasePolicy::{Allow, Deny};
        Self::preset([Deny; 5], [Allow; 3])
    }

    fn preset(scalars: [BasePolicy; 5], metadata: [BasePolicy; 3]) -> Self {
        let [add_member, remove_member, add_admin, remove_admin, update_permissions] = scalars.map(Policy::Base);
        let [text, disappearing, version] = metadata;
        let keys = [
            (attribute::NAME, text),
            (attribute::DESCRIPTION, text),
            (attribute::IMAGE_URL, text),
            (attribute::APP_DATA, text),
            (attribute::DISAPPEAR_FROM, disappearing),
            (attribute::DISAPPEAR_IN, disappearing),
            (attribute::MINIMUM_VERSION, version),
        ];
        let update_metadata = keys.into_iter().map(|(key, base)| (key.to_owned(), base.into())).collect();
        Self { add_member, remove_member, update_metadata, add_admin, remove_admin, update_permissions }
    }

    /// The name to report (groups §2.6).
    #[must_use]
    pub fn name(&self) -> PolicyPreset {
        if self.is_preset(&Self::all_members()) {
            PolicyPreset::AllMembers
        } else if self.is_preset(&Self::admin_only()) {
            PolicyPreset::AdminOnly
        } else {
            PolicyPreset::Custom
        }
    }

    fn is_preset(&self, preset: &Self) -> bool {
        self.scalars() == preset.scalars()
            && preset
                .update_metadata
                .iter()
                .all(|(key, policy)| self.update_metadata.get(key).is_none_or(|mine| mine == policy))
    }

    /// Whether any of the five scalar policies is that of `other`. The shipped client refuses a DM only when all
    /// five differ from the DM set (groups §6.4, step 9).
    #[must_use]
    pub fn shares_a_scalar_with(&self, other: &Self) -> bool {
        self.scalars().iter().zip(other.scalars()).any(|(mine, theirs)| *mine == theirs)
    }

    const fn scalars(&self) -> [&Policy; 5] {
        [&self.add_member, &self.remove_member, &self.add_admin, &self.remove_admin, &self.update_permissions]
    }

    /// Encodes the extension's body. "Allow" cannot be written for the three admin policies and becomes "super
    /// admin" there (groups §4.5).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let policies = PolicySetProto {
            add_member_policy: Some(self.add_member.to_wire()),
            remove_member_policy: Some(self.remove_member.to_wire()),
            update_metadata_policy: self
                .update_metadata
                .iter()
                .map(|(k, policy)| (k.clone(), policy.to_wire()))
                .collect(),
            add_admin_policy: Some(self.add_admin.to_wire()),
            remove_admin_policy: Some(self.remove_admin.to_wire()),
            update_permissions_policy: Some(self.update_permissions.to_wire()),
        };
        GroupMutablePermissionsV1 { policies: Some(policies) }.encode_to_vec()
    }

    /// Decodes the extension's body.
    ///
    /// # Errors
    /// [`ContextError::Malformed`], [`ContextError::FieldMissing`] when one of the five policies is absent,
    /// [`ContextError::Policy`] for one that is unset, empty or unknown.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContextError> {
        let missing = ContextError::FieldMissing(CODE);
        let message = GroupMutablePermissionsV1::decode(bytes).map_err(|_| ContextError::Malformed(CODE))?;
        let set = message.policies.ok_or(missing)?;
        Ok(Self {
            add_member: set.add_member_policy.ok_or(missing)?.into_policy()?,
            remove_member: set.remove_member_policy.ok_or(missing)?.into_policy()?,
            update_metadata: set
                .update_metadata_policy
                .into_iter()
                .map(|(key, policy)| Ok((key, policy.into_policy()?)))
                .collect::<Result<_, ContextError>>()?,
            add_admin: set.add_admin_policy.ok_or(missing)?.into_policy()?,
            remove_admin: set.remove_admin_policy.ok_or(missing)?.into_policy()?,
            update_permissions: set.update_permissions_policy.ok_or(missing)?.into_policy()?,
        })
    }
}

impl Policy {
    fn to_wire<W: WirePolicy>(&self) -> W {
        match self {
            Self::Base(base) => W::base(W::number(*base)),
            Self::All(children) => W::all(children.iter().map(Self::to_wire).collect()),
            Self::Any(children) => W::any(children.iter().map(Self::to_wire).collect()),
        }
    }
}

/// One of the three wire types of a policy. They look alike, but the third numbers its base values differently.
trait WirePolicy: Sized {
    fn base(number: i32) -> Self;
    fn all(children: Vec<Self>) -> Self;
    fn any(children: Vec<Self>) -> Self;
    fn into_shape(self) -> Option<Shape<Self>>;
    fn number(base: BasePolicy) -> i32;
    fn from_number(number: i32) -> Option<BasePolicy>;

    fn into_policy(self) -> Result<Policy, ContextError> {
        let children = |all: Vec<Self>| {
            if all.is_empty() { Err(ContextError::Policy) } else { all.into_iter().map(Self::into_policy).collect() }
        };
        match self.into_shape().ok_or(ContextError::Policy)? {
            Shape::Base(number) => Self::from_number(number).map(Policy::Base).ok_or(ContextError::Policy),
            Shape::All(all) => children(all).map(Policy::All),
            Shape::Any(all) => children(all).map(Policy::Any),
        }
    }
}

enum Shape<W> {
    Base(i32),
    All(Vec<W>),
    Any(Vec<W>),
}

/// Numbers of membership and metadata policies.
const fn plain_number(base: BasePolicy) -> i32 {
    match base {
        BasePolicy::Allow => 1,
        BasePolicy::Deny => 2,
        BasePolicy::Admin => 3,
        BasePolicy::SuperAdmin => 4,
    }
}

const fn plain_base(number: i32) -> Option<BasePolicy> {
    match number {
        1 => Some(BasePolicy::Allow),
        2 => Some(BasePolicy::Deny),
        3 => Some(BasePolicy::Admin),
        4 => Some(BasePolicy::SuperAdmin),
        _ => None,
    }
}

/// Numbers of admin and permission policies: shifted by one.
const fn admin_number(base: BasePolicy) -> i32 {
    match base {
        BasePolicy::Deny => 1,
        BasePolicy::Admin => 2,
        BasePolicy::Allow | BasePolicy::SuperAdmin => 3,
    }
}

const fn admin_base(number: i32) -> Option<BasePolicy> {
    match number {
        1 => Some(BasePolicy::Deny),
        2 => Some(BasePolicy::Admin),
        3 => Some(BasePolicy::SuperAdmin),
        _ => None,
    }
}

macro_rules! wire_policy {
    ($type:ident, $module:ident, $number:ident, $base:ident) => {
        impl WirePolicy for $type {
            fn base(number: i32) -> Self {
                Self { kind: Some($module::Kind::Base(number)) }
            }

            fn all(policies: Vec<Self>) -> Self {
                Self { kind: Some($module::Kind::AndCondition($module::AndCondition { policies })) }
            }

            fn any(policies: Vec<Self>) -> Self {
                Self { kind: Some($module::Kind::AnyCondition($module::AnyCondition { policies })) }
            }

            fn into_shape(self) -> Option<Shape<Self>> {
                Some(match self.kind? {
                    $module::Kind::Base(number) => Shape::Base(number),
                    $module::Kind::AndCondition(all) => Shape::All(all.policies),
                    $module::Kind::AnyCondition(all) => Shape::Any(all.policies),
                })
            }

            fn number(base: BasePolicy) -> i32 {
                $number(base)
            }

            fn from_number(number: i32) -> Option<BasePolicy> {
                $base(number)
            }
        }
    };
}

wire_policy!(MembershipPolicy, membership_policy, plain_number, plain_base);
wire_policy!(MetadataPolicy, metadata_policy, plain_number, plain_base);
wire_policy!(PermissionsUpdatePolicy, permissions_update_policy, admin_number, admin_base);

#[cfg(test)]
mod tests {
    use subrosa_types::hex;

    use super::*;

    fn contains(set: &PolicySet, parts: &[&str]) {
        let text = hex::encode(&set.to_bytes());
        for part in parts {
            assert!(text.contains(&part.replace(' ', "")), "{part} in {text}");
        }
    }

    #[test]
    fn presets_are_those_of_the_specification() {
        contains(&PolicySet::all_members(), &["0a020801 12020803", "22020803 2a020803 32020803"]);
        contains(&PolicySet::dm(), &["0a020802 12020802", "22020801 2a020801 32020801"]);
        contains(&PolicySet::admin_only(), &["1a100a0a67726f75705f6e616d6512020803"]);
    }

    #[test]
    fn names_ignore_missing_entries() {
        let mut set = PolicySet::all_members();
        assert_eq!(set.name(), PolicyPreset::AllMembers);
        set.update_metadata.clear();
        assert_eq!(set.name(), PolicyPreset::AllMembers);
        set.add_member = BasePolicy::Admin.into();
        assert_eq!(set.name(), PolicyPreset::AdminOnly);
        assert_eq!(PolicySet::dm().name(), PolicyPreset::Custom);
    }

    #[test]
    fn conditions_survive_and_empty_ones_are_refused() {
        let mut set = PolicySet::all_members();
        let admin = Policy::from(BasePolicy::Admin);
        set.add_member = Policy::All(vec![Policy::Any(vec![admin.clone(), BasePolicy::Deny.into()]), admin]);
        assert_eq!(PolicySet::from_bytes(&set.to_bytes()), Ok(set.clone()));
        assert!(set.add_member.allows(Role { admin: true, super_admin: false }));
        assert!(!set.add_member.allows(Role::default()));
        set.add_member = Policy::Any(vec![]);
        assert_eq!(PolicySet::from_bytes(&set.to_bytes()), Err(ContextError::Policy));
    }

    #[test]
    fn unset_and_unknown_policies_are_refused() {
        let with = |policy| {
            let mut message = GroupMutablePermissionsV1::decode(PolicySet::dm().to_bytes().as_slice()).unwrap();
            message.policies.as_mut().unwrap().add_admin_policy = policy;
            PolicySet::from_bytes(&message.encode_to_vec())
        };
        assert_eq!(with(None), Err(ContextError::FieldMissing(CODE)));
        assert_eq!(with(Some(PermissionsUpdatePolicy { kind: None })), Err(ContextError::Policy));
        for number in [0, 4] {
            assert_eq!(with(Some(PermissionsUpdatePolicy::base(number))), Err(ContextError::Policy));
        }
        assert_eq!(PolicySet::from_bytes(&[]), Err(ContextError::FieldMissing(CODE)));
    }

    #[test]
    fn allow_is_not_representable_for_admin_policies() {
        let mut set = PolicySet::all_members();
        set.add_admin = BasePolicy::Allow.into();
        assert_eq!(PolicySet::from_bytes(&set.to_bytes()).unwrap().add_admin, BasePolicy::SuperAdmin.into());
    }
}
