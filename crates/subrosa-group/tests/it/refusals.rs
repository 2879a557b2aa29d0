//! Every refusal of the catalogue that a member can provoke (groups §10.3).

use subrosa_group::{
    Directory, Forbidden, Group, Refusal,
    context::{BasePolicy, ContextChange, ContextError, Membership, PolicySet, attribute},
    group::{CommitPlan, NewGroup, NewKind},
};
use subrosa_types::{InboxId, SequenceId};

use crate::world::{Device, World, metadata_plan, plain};

/// a, the super admin, and b, a member, in a group; c is outside.
struct Scene {
    world: World,
    a: Device,
    b: Device,
    c: Device,
    ga: Group,
    gb: Group,
}

impl Scene {
    fn new(policies: PolicySet) -> Self {
        let mut world = World::default();
        let (mut a, mut b, c) = (world.register(1), world.register(2), world.register(3));
        let (ga, mut joined) = world.group(plain(policies), &mut a, &mut [&mut b]);
        let gb = joined.pop().unwrap();
        Self { world, a, b, c, ga, gb }
    }

    /// What b says to a commit of a.
    fn by_a(&mut self, plan: CommitPlan) -> Refusal {
        let prepared = self.a.build(&mut self.ga, plan);
        let directory = self.world.directory();
        let own = self.ga.restage(&prepared.staged, prepared.base_epoch, &prepared.base_authenticator).unwrap();
        let own = self.ga.judge(own, &directory).unwrap_err();
        let theirs = self.b.refuse(&mut self.gb, &prepared.payload, &directory);
        assert_eq!(own, theirs, "both ends judge alike");
        theirs
    }

    /// What a says to a commit of b.
    fn by_b(&mut self, plan: CommitPlan) -> Refusal {
        let prepared = self.b.build(&mut self.gb, plan);
        self.a.refuse(&mut self.ga, &prepared.payload, &self.world.directory())
    }

    fn a_is_followed(&mut self, plan: CommitPlan) {
        let prepared = self.a.build(&mut self.ga, plan);
        let directory = self.world.directory();
        self.a.take_up(&mut self.ga, &prepared, &directory);
        self.b.follow(&mut self.gb, &prepared.payload, &directory);
    }

    fn membership(&self, raised: &[InboxId], gone: &[InboxId]) -> Membership {
        self.world.membership(&self.ga, raised, gone)
    }
}

fn membership_plan(membership: Membership) -> CommitPlan {
    CommitPlan {
        context: ContextChange { membership: Some(membership), ..ContextChange::default() },
        ..CommitPlan::default()
    }
}

fn attribute_plan(group: &Group, key: &str, value: &str) -> CommitPlan {
    metadata_plan(group, |m| {
        m.attributes.insert(key.into(), value.into());
    })
}

#[test]
fn long_attributes_are_refused() {
    let mut scene = Scene::new(PolicySet::all_members());
    for (key, limit) in
        [("group_name", 100), ("description", 1_000), ("group_image_url_square", 2_048), ("app_data", 8_192)]
    {
        let plan = attribute_plan(&scene.ga, key, &"x".repeat(limit + 1));
        assert_eq!(scene.by_a(plan), Refusal::TooManyCharacters { key: key.into(), limit, got: limit + 1 });
    }
    let plan = attribute_plan(&scene.ga, "group_name", &"é".repeat(50));
    scene.a_is_followed(plan);
}

#[test]
fn sequences_do_not_fall() {
    let mut scene = Scene::new(PolicySet::all_members());
    let mut membership = scene.membership(&[], &[]);
    membership.members.insert(scene.b.inbox, SequenceId(1));
    let refusal = scene.by_a(membership_plan(membership));
    assert!(matches!(refusal, Refusal::SequenceDecreased { inbox, .. } if inbox == scene.b.inbox));
}

#[test]
fn entries_that_do_not_exist_are_refused() {
    let mut scene = Scene::new(PolicySet::all_members());
    let ghost = InboxId::from_bytes([9; 32]);
    let mut membership = scene.membership(&[], &[]);
    membership.members.insert(ghost, SequenceId(5));
    let refusal = scene.by_a(membership_plan(membership));
    assert_eq!(refusal, Refusal::MissingIdentity { inbox: ghost, sequence: SequenceId(5) });
    let mut membership = scene.membership(&[], &[]);
    membership.members.insert(scene.a.inbox, SequenceId(999));
    let refusal = scene.by_a(membership_plan(membership));
    assert_eq!(refusal, Refusal::MissingIdentity { inbox: scene.a.inbox, sequence: SequenceId(999) });
}

#[test]
fn a_bystander_may_be_raised_beyond_its_log() {
    let mut scene = Scene::new(PolicySet::all_members());
    let mut membership = scene.membership(&[], &[]);
    membership.members.insert(scene.b.inbox, SequenceId(999));
    scene.a_is_followed(membership_plan(membership));
}

#[test]
fn unexpected_installations_are_refused() {
    let mut scene = Scene::new(PolicySet::all_members());
    let plan = CommitPlan { adds: vec![scene.c.package.clone()], ..membership_plan(scene.membership(&[], &[])) };
    assert_eq!(scene.by_a(plan), Refusal::UnexpectedAdd(scene.c.id()));
    let plan = CommitPlan { removes: vec![scene.b.id()], ..membership_plan(scene.membership(&[], &[])) };
    let prepared = scene.a.build(&mut scene.ga, plan);
    let own = scene.ga.restage(&prepared.staged, prepared.base_epoch, &prepared.base_authenticator).unwrap();
    let refusal = scene.ga.judge(own, &scene.world.directory()).unwrap_err();
    assert_eq!(refusal, Refusal::UnexpectedRemoves { extra: vec![scene.b.id()], missing: vec![] });
}

#[test]
fn a_dropped_inbox_must_lose_its_leaves_unless_they_are_listed_as_failed() {
    let mut scene = Scene::new(PolicySet::all_members());
    let plan = membership_plan(scene.membership(&[], &[scene.b.inbox]));
    assert_eq!(scene.by_a(plan), Refusal::UnexpectedRemoves { extra: vec![], missing: vec![scene.b.id()] });
    let mut membership = scene.membership(&[], &[scene.b.inbox]);
    membership.failed.insert(scene.b.id().as_bytes().to_vec());
    scene.a_is_followed(membership_plan(membership));
}

#[test]
fn members_without_leaves_and_odd_failed_entries_are_accepted() {
    let mut scene = Scene::new(PolicySet::all_members());
    let mut membership = scene.membership(&[scene.c.inbox], &[]);
    membership.failed.insert(vec![1, 2, 3]);
    scene.a_is_followed(membership_plan(membership));
    assert!(scene.gb.context().membership().unwrap().members.contains_key(&scene.c.inbox));
}

#[test]
fn nobody_drops_their_own_inbox() {
    let mut scene = Scene::new(PolicySet::all_members());
    let mut membership = scene.membership(&[], &[scene.a.inbox]);
    membership.failed.insert(scene.a.id().as_bytes().to_vec());
    assert_eq!(scene.by_a(membership_plan(membership)), Refusal::SubjectNotMember(scene.a.inbox));
}

#[test]
fn a_revoked_installation_cannot_commit() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let mut b2 = world.add_device(b.inbox, 22);
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b, &mut b2]);
    let mut gb2 = joined.pop().unwrap();
    world.revoke(&b2);
    let mut membership = world.membership(&ga, &[b.inbox], &[]);
    membership.failed.insert(b2.id().as_bytes().to_vec());
    let prepared = b2.build(&mut gb2, membership_plan(membership));
    let refusal = a.refuse(&mut ga, &prepared.payload, &world.directory());
    assert_eq!(refusal, Refusal::SubjectNotInInbox { inbox: b.inbox, installation: b2.id() });
}

#[test]
fn policies_decide_who_adds_and_removes() {
    let mut scene = Scene::new(PolicySet::admin_only());
    let plan = scene.world.plan(&scene.gb, scene.membership(&[scene.c.inbox], &[]), &[&scene.c]);
    assert_eq!(scene.by_b(plan), Refusal::InsufficientPermissions(Forbidden::AddInbox(scene.c.inbox)));
    let plan = scene.world.plan(&scene.ga, scene.membership(&[scene.c.inbox], &[]), &[&scene.c]);
    scene.a_is_followed(plan);
    let plan = scene.world.plan(&scene.gb, scene.membership(&[], &[scene.c.inbox]), &[]);
    assert_eq!(scene.by_b(plan), Refusal::InsufficientPermissions(Forbidden::RemoveInbox(scene.c.inbox)));
    let plan = scene.world.plan(&scene.gb, scene.membership(&[], &[scene.a.inbox]), &[]);
    assert_eq!(scene.by_b(plan), Refusal::InsufficientPermissions(Forbidden::RemoveSuperAdminInbox(scene.a.inbox)));
}

#[test]
fn attributes_follow_their_policies() {
    let mut scene = Scene::new(PolicySet::admin_only());
    for key in ["group_name", "unknown", "_private"] {
        let plan = attribute_plan(&scene.gb, key, "x");
        assert_eq!(scene.by_b(plan), Refusal::InsufficientPermissions(Forbidden::Attribute(key.into())));
        let plan = attribute_plan(&scene.ga, key, "x");
        scene.a_is_followed(plan);
    }
}

#[test]
fn roles_are_given_by_who_may_give_them() {
    let mut scene = Scene::new(PolicySet::all_members());
    let (a, b) = (scene.a.inbox.to_hex(), scene.b.inbox.to_hex());
    let refused = |forbidden| Refusal::InsufficientPermissions(forbidden);
    let plan = metadata_plan(&scene.gb, |m| m.admins.push(b.clone()));
    assert_eq!(scene.by_b(plan), refused(Forbidden::AddAdmin));
    let plan = metadata_plan(&scene.gb, |m| m.super_admins.push(b.clone()));
    assert_eq!(scene.by_b(plan), refused(Forbidden::AddSuperAdmin));
    let plan = metadata_plan(&scene.gb, |m| m.super_admins.clear());
    assert_eq!(scene.by_b(plan), refused(Forbidden::RemoveSuperAdmin));
    let plan = metadata_plan(&scene.ga, |m| m.super_admins.clear());
    assert_eq!(scene.by_a(plan), refused(Forbidden::RemoveLastSuperAdmin));
    let plan = metadata_plan(&scene.ga, |m| m.admins.push(a.clone()));
    scene.a_is_followed(plan);
    let plan = metadata_plan(&scene.gb, |m| m.admins.clear());
    assert_eq!(scene.by_b(plan), refused(Forbidden::RemoveAdmin));
}

#[test]
fn permissions_are_changed_by_super_admins_only() {
    let mut scene = Scene::new(PolicySet::all_members());
    let mut policies = PolicySet::all_members();
    let plan = |policies: &PolicySet| CommitPlan {
        context: ContextChange { permissions: Some(policies.clone()), ..ContextChange::default() },
        ..CommitPlan::default()
    };
    // Unchanged permissions may be sent by anybody.
    let prepared = scene.b.build(&mut scene.gb, plan(&policies));
    let directory = scene.world.directory();
    scene.b.take_up(&mut scene.gb, &prepared, &directory);
    scene.a.follow(&mut scene.ga, &prepared.payload, &directory);
    policies.add_member = BasePolicy::Deny.into();
    assert_eq!(scene.by_b(plan(&policies)), Refusal::InsufficientPermissions(Forbidden::Permissions));
    scene.a_is_followed(plan(&policies));
    assert_eq!(scene.gb.context().permissions(), Ok(&policies));
    policies.add_member = subrosa_group::context::Policy::Any(vec![]);
    assert_eq!(scene.by_a(plan(&policies)), Refusal::Permissions(ContextError::Policy));
}

#[test]
fn minimum_versions_pause_or_are_refused() {
    let mut scene = Scene::new(PolicySet::all_members());
    let key = attribute::MINIMUM_VERSION;
    let plan = attribute_plan(&scene.ga, key, "soon");
    assert_eq!(scene.by_a(plan), Refusal::MinimumVersion);
    let plan = attribute_plan(&scene.ga, key, "1.10.1");
    let refusal = scene.by_a(plan);
    assert_eq!(refusal, Refusal::VersionTooLow { needs: "1.10.1".into() });
    assert!(refusal.pauses());
    let plan = attribute_plan(&scene.ga, key, "1.10.0");
    scene.a_is_followed(plan);
    // The value counts as visible at every commit.
    let prepared = scene.a.build(&mut scene.ga, CommitPlan::default());
    let report = scene.b.follow(&mut scene.gb, &prepared.payload, &scene.world.directory());
    assert!(report.is_visible());
    assert_eq!(report.minimum_version.as_deref(), Some("1.10.0"));
}

#[test]
fn a_dm_takes_its_peer_and_nobody_else() {
    let mut world = World::default();
    let (mut a, mut b, c) = (world.register(1), world.register(2), world.register(3));
    let new = NewGroup { kind: NewKind::Dm(b.inbox), attributes: Default::default() };
    let (mut ga, mut joined) = world.group(new, &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    let plan = world.plan(&gb, world.membership(&gb, &[c.inbox], &[]), &[&c]);
    let prepared = b.build(&mut gb, plan);
    let refusal = a.refuse(&mut ga, &prepared.payload, &world.directory());
    assert_eq!(refusal, Refusal::InsufficientPermissions(Forbidden::AddInbox(c.inbox)));
    let plan = world.plan(&gb, world.membership(&gb, &[], &[a.inbox]), &[]);
    let prepared = b.build(&mut gb, plan);
    let own = gb.restage(&prepared.staged, prepared.base_epoch, &prepared.base_authenticator).unwrap();
    let refusal = gb.judge(own, &world.directory()).unwrap_err();
    assert_eq!(refusal, Refusal::InsufficientPermissions(Forbidden::RemoveInbox(a.inbox)));
}

#[test]
fn what_the_directory_lacks_does_not_exist() {
    let mut scene = Scene::new(PolicySet::all_members());
    let prepared = scene.a.build(&mut scene.ga, CommitPlan::default());
    let refusal = scene.b.refuse(&mut scene.gb, &prepared.payload, &Directory::new());
    assert!(matches!(refusal, Refusal::MissingIdentity { inbox, .. } if inbox == scene.a.inbox));
}
