//! Who may do what (groups §3.1, §3.2, §3.5).

use std::collections::BTreeSet;

use subrosa_types::InboxId;

use crate::{
    context::{Attribute, DmMembers, MutableMetadata, PolicySet, Role},
    refusal::Forbidden,
};

/// What a commit changes, as far as permissions are concerned.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Inboxes that come into the membership.
    pub added_inboxes: BTreeSet<InboxId>,
    /// Inboxes that leave it.
    pub removed_inboxes: BTreeSet<InboxId>,
    /// Attributes with another value.
    pub attributes: Vec<Attribute>,
    /// Inbox ids new in the admin list, sorted.
    pub admins_added: Vec<String>,
    /// Inbox ids no more in the admin list, sorted.
    pub admins_removed: Vec<String>,
    /// Inbox ids new in the super admin list, sorted.
    pub super_admins_added: Vec<String>,
    /// Inbox ids no more in the super admin list, sorted.
    pub super_admins_removed: Vec<String>,
    /// Whether the super admin list is empty afterwards.
    pub no_super_admin_left: bool,
    /// Whether the permissions differ.
    pub permissions: bool,
}

impl Changes {
    /// The changes from `old` to `new` metadata; membership and permissions are left empty.
    #[must_use]
    pub fn of_metadata(old: &MutableMetadata, new: &MutableMetadata) -> Self {
        let only_in = |a: &[String], b: &[String]| {
            let missing: BTreeSet<&String> = a.iter().filter(|inbox| !b.contains(inbox)).collect();
            missing.into_iter().cloned().collect()
        };
        Self {
            attributes: old.changes_to(new),
            admins_added: only_in(&new.admins, &old.admins),
            admins_removed: only_in(&old.admins, &new.admins),
            super_admins_added: only_in(&new.super_admins, &old.super_admins),
            super_admins_removed: only_in(&old.super_admins, &new.super_admins),
            no_super_admin_left: new.super_admins.is_empty(),
            ..Self::default()
        }
    }
}

/// The context in which permissions are judged: always the one before the change.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Who may do what.
    pub policies: &'a PolicySet,
    /// Roles.
    pub metadata: &'a MutableMetadata,
    /// The two inboxes of a DM.
    pub dm: Option<&'a DmMembers>,
}

/// Whether `actor` may make `changes` (groups §3.5). The same question is asked before sending and after receiving.
///
/// # Errors
/// The first thing that is [`Forbidden`].
pub fn may(actor: &InboxId, changes: &Changes, rules: Rules<'_>) -> Result<(), Forbidden> {
    let role = rules.metadata.role(actor);
    may_change_members(actor, role, changes, rules)?;
    for change in &changes.attributes {
        if !may_change_attribute(&change.key, role, rules.policies) {
            return Err(Forbidden::Attribute(change.key.clone()));
        }
    }
    if !changes.admins_added.is_empty() && !rules.policies.add_admin.allows(role) {
        return Err(Forbidden::AddAdmin);
    }
    if !changes.admins_removed.is_empty() && !rules.policies.remove_admin.allows(role) {
        return Err(Forbidden::RemoveAdmin);
    }
    if !changes.super_admins_added.is_empty() && !role.super_admin {
        return Err(Forbidden::AddSuperAdmin);
    }
    if !changes.super_admins_removed.is_empty() {
        if !role.super_admin {
            return Err(Forbidden::RemoveSuperAdmin);
        }
        if changes.no_super_admin_left {
            return Err(Forbidden::RemoveLastSuperAdmin);
        }
    }
    if changes.permissions && !role.super_admin {
        return Err(Forbidden::Permissions);
    }
    Ok(())
}

fn may_change_members(actor: &InboxId, role: Role, changes: &Changes, rules: Rules<'_>) -> Result<(), Forbidden> {
    let added = &changes.added_inboxes;
    let dm_peer =
        added.len() == 1 && rules.dm.is_some_and(|dm| added.iter().all(|inbox| dm.contains(inbox) && inbox != actor));
    if let Some(inbox) = added.first()
        && !dm_peer
        && !rules.policies.add_member.allows(role)
    {
        return Err(Forbidden::AddInbox(*inbox));
    }
    for inbox in &changes.removed_inboxes {
        if rules.metadata.role(inbox).super_admin {
            return Err(Forbidden::RemoveSuperAdminInbox(*inbox));
        }
        if !rules.policies.remove_member.allows(role) {
            return Err(Forbidden::RemoveInbox(*inbox));
        }
    }
    Ok(())
}

/// The stored policy decides; without one, `_` keys are for super admins and others for admins (groups §3.2).
fn may_change_attribute(key: &str, role: Role, policies: &PolicySet) -> bool {
    match policies.update_metadata.get(key) {
        Some(policy) => policy.allows(role),
        None if key.starts_with('_') => role.super_admin,
        None => role.any_admin(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: InboxId = InboxId::from_bytes([0xa; 32]);
    const B: InboxId = InboxId::from_bytes([0xb; 32]);
    const C: InboxId = InboxId::from_bytes([0xc; 32]);

    fn metadata(admins: &[InboxId], super_admins: &[InboxId]) -> MutableMetadata {
        let texts = |inboxes: &[InboxId]| inboxes.iter().map(InboxId::to_hex).collect();
        MutableMetadata { admins: texts(admins), super_admins: texts(super_admins), ..Default::default() }
    }

    fn attribute(key: &str) -> Changes {
        let attributes = vec![Attribute { key: key.into(), old: None, new: Some("x".into()) }];
        Changes { attributes, ..Changes::default() }
    }

    #[test]
    fn attributes_without_policy_need_an_admin() {
        let (policies, metadata) = (PolicySet::all_members(), metadata(&[B], &[A]));
        let rules = Rules { policies: &policies, metadata: &metadata, dm: None };
        let refused = |key: &str| Err(Forbidden::Attribute(key.into()));
        for (actor, key, want) in [
            (A, "_x", Ok(())),
            (B, "_x", refused("_x")),
            (B, "x", Ok(())),
            (C, "x", refused("x")),
            (C, "group_name", Ok(())),
            (C, "message_disappear_in_ns", refused("message_disappear_in_ns")),
            (B, "minimum_supported_protocol_version", refused("minimum_supported_protocol_version")),
        ] {
            assert_eq!(may(&actor, &attribute(key), rules), want, "{key}");
        }
    }

    #[test]
    fn a_dm_lets_exactly_the_peer_in() {
        let (policies, metadata) = (PolicySet::dm(), metadata(&[], &[]));
        let dm = DmMembers { one: A.to_hex(), two: B.to_hex() };
        let rules = Rules { policies: &policies, metadata: &metadata, dm: Some(&dm) };
        let add =
            |inboxes: &[InboxId]| Changes { added_inboxes: inboxes.iter().copied().collect(), ..Changes::default() };
        assert_eq!(may(&A, &add(&[B]), rules), Ok(()));
        assert_eq!(may(&A, &add(&[A]), rules), Err(Forbidden::AddInbox(A)));
        assert_eq!(may(&A, &add(&[C]), rules), Err(Forbidden::AddInbox(C)));
        assert_eq!(may(&A, &add(&[B, C]), rules), Err(Forbidden::AddInbox(B)));
    }

    #[test]
    fn super_admins_must_be_demoted_before_they_are_removed() {
        let (policies, metadata) = (PolicySet::all_members(), metadata(&[], &[A, B]));
        let rules = Rules { policies: &policies, metadata: &metadata, dm: None };
        let remove = Changes { removed_inboxes: [B].into(), ..Changes::default() };
        assert_eq!(may(&A, &remove, rules), Err(Forbidden::RemoveSuperAdminInbox(B)));
        let demote = Changes { super_admins_removed: vec![B.to_hex()], ..Changes::default() };
        assert_eq!(may(&A, &demote, rules), Ok(()));
        assert_eq!(may(&C, &demote, rules), Err(Forbidden::RemoveSuperAdmin));
        let last = Changes { no_super_admin_left: true, ..demote };
        assert_eq!(may(&A, &last, rules), Err(Forbidden::RemoveLastSuperAdmin));
    }

    #[test]
    fn permissions_are_for_super_admins_whatever_the_policy_says() {
        let mut policies = PolicySet::all_members();
        policies.update_permissions = crate::context::BasePolicy::Admin.into();
        let metadata = metadata(&[B], &[A]);
        let rules = Rules { policies: &policies, metadata: &metadata, dm: None };
        let change = Changes { permissions: true, ..Changes::default() };
        assert_eq!(may(&A, &change, rules), Ok(()));
        assert_eq!(may(&B, &change, rules), Err(Forbidden::Permissions));
    }
}
