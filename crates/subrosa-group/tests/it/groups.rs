//! Groups of two to five members, own side at both ends.

use subrosa_group::{
    Group,
    context::{ConversationKind, PolicySet, attribute},
    group::{CommitPlan, CommitType, MergeError, NewGroup, NewKind, OpenError, RestageError},
};

use crate::world::{World, metadata_plan, open_commit, plain, read};

#[test]
fn members_read_each_other_and_agree_on_every_epoch() {
    let mut world = World::default();
    let (mut a, mut b, mut c) = (world.register(1), world.register(2), world.register(3));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b, &mut c]);
    let (mut gc, mut gb) = (joined.pop().unwrap(), joined.pop().unwrap());
    assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
    assert_eq!(ga.epoch_authenticator(), gc.epoch_authenticator());
    assert_eq!(ga.leaves(), gb.leaves());
    assert_eq!(gb.own_leaf().unwrap().installation, b.id());

    let message = gb.encrypt(&b.key, b"hello").unwrap();
    b.save(&mut gb);
    assert_eq!(read(&mut ga, &message), (b.sender(), b"hello".to_vec()));
    a.save(&mut ga);

    let plan = metadata_plan(&gc, |m| {
        m.attributes.insert(attribute::NAME.into(), "roses".into());
    });
    let prepared = c.build(&mut gc, plan);
    let report = c.take_up(&mut gc, &prepared, &directory);
    for (device, group) in [(&mut a, &mut ga), (&mut b, &mut gb)] {
        let theirs = device.follow(group, &prepared.payload, &directory);
        assert_eq!(theirs, report);
        assert_eq!(group.epoch_authenticator(), gc.epoch_authenticator());
    }
    assert_eq!(report.actor, c.sender());
    assert_eq!(report.commit_type, CommitType::MetadataUpdate);
    assert_eq!(report.attributes[0].new.as_deref(), Some("roses"));
    assert_eq!(gb.context().mutable().unwrap().get(attribute::NAME), Some("roses"));

    // A message of the past epoch still opens after the commit.
    let reloaded = a.load(ga.id());
    assert_eq!(reloaded.epoch_authenticator(), ga.epoch_authenticator());
}

#[test]
fn groups_are_made_as_the_specification_lists() {
    let mut world = World::default();
    let (mut a, b) = (world.register(1), world.register(2));
    let group = a.create(NewGroup { kind: NewKind::Dm(b.inbox), attributes: Default::default() });
    let context = group.context();
    let immutable = context.immutable().unwrap();
    assert_eq!(immutable.kind, ConversationKind::Dm);
    assert_eq!(immutable.dm_members.as_ref().unwrap().two, b.inbox.to_hex());
    let mutable = context.mutable().unwrap();
    assert!(mutable.super_admins.is_empty() && mutable.admins.is_empty());
    assert_eq!(mutable.get(attribute::APP_DATA), None);
    assert_eq!(mutable.get(attribute::COMMIT_LOG_SIGNER).unwrap().len(), 64);
    assert_eq!(context.permissions().unwrap(), &PolicySet::dm());

    let group = a.create(NewGroup { kind: NewKind::Sync, attributes: Default::default() });
    let context = group.context();
    assert_eq!(context.immutable().unwrap().kind, ConversationKind::Sync);
    assert_eq!(context.mutable().unwrap().super_admins, [a.inbox.to_hex()]);
    assert_eq!(context.mutable().unwrap().get(attribute::APP_DATA), Some(""));
    assert_eq!(context.membership().unwrap().members[&a.inbox].0, 0);
    assert_eq!(group.id().as_bytes().len(), 16);
    assert_eq!(group.epoch().0, 0);
}

#[test]
fn a_loaded_group_goes_on_where_the_stored_one_stopped() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    for round in 0u8..4 {
        let message = ga.encrypt(&a.key, &[round]).unwrap();
        a.save(&mut ga);
        ga = a.load(ga.id());
        assert_eq!(read(&mut gb, &message).1, [round]);
        b.save(&mut gb);
        gb = b.load(gb.id());
        let prepared = b.build(&mut gb, CommitPlan::default());
        gb = b.load(gb.id());
        b.take_up(&mut gb, &prepared, &directory);
        let report = a.follow(&mut ga, &prepared.payload, &directory);
        assert_eq!(report.commit_type, CommitType::KeyUpdate);
        assert!(!report.is_visible());
        ga = a.load(ga.id());
        gb = b.load(gb.id());
        assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
    }
    assert!(ga.drain().unwrap().is_empty());
}

#[test]
fn messages_of_three_past_epochs_open_and_older_ones_do_not() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    let early: Vec<Vec<u8>> = (0..4)
        .map(|n| {
            let message = ga.encrypt(&a.key, &[n]).unwrap();
            let prepared = a.build(&mut ga, CommitPlan::default());
            a.take_up(&mut ga, &prepared, &directory);
            b.follow(&mut gb, &prepared.payload, &directory);
            message
        })
        .collect();
    assert!(matches!(gb.open(&early[0]), Err(OpenError::TooOld { .. })));
    for (n, message) in (0u8..).zip(&early).skip(1) {
        assert_eq!(read(&mut gb, message).1, [n]);
    }
}

#[test]
fn an_added_installation_and_a_removed_inbox_change_the_roster() {
    let mut world = World::default();
    let (mut a, mut b, mut c) = (world.register(1), world.register(2), world.register(3));
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b, &mut c]);
    let (mut gc, mut gb) = (joined.pop().unwrap(), joined.pop().unwrap());
    // b's second device: any member may bring it in, without an inbox coming in.
    let b2 = world.add_device(b.inbox, 22);
    let plan = world.plan(&gc, world.membership(&gc, &[b.inbox], &[]), &[&b2]);
    let prepared = c.build(&mut gc, plan);
    let report = c.take_up(&mut gc, &prepared, &world.directory());
    assert!(report.added_inboxes.is_empty());
    assert_eq!(report.installations_added, [b2.id()].into());
    a.follow(&mut ga, &prepared.payload, &world.directory());
    b.follow(&mut gb, &prepared.payload, &world.directory());
    // a removes c.
    let plan = world.plan(&ga, world.membership(&ga, &[], &[c.inbox]), &[]);
    let prepared = a.build(&mut ga, plan);
    let report = a.take_up(&mut ga, &prepared, &world.directory());
    assert_eq!(report.removed_inboxes, [c.inbox].into());
    assert_eq!(report.installations_removed, [c.id()].into());
    let theirs = c.follow(&mut gc, &prepared.payload, &world.directory());
    assert!(theirs.removed_self && !gc.is_active() && gc.own_leaf().is_none());
    assert!(matches!(gc.open(&prepared.payload), Err(OpenError::Inactive)));
    assert!(!c.load(gc.id()).is_active());
    b.follow(&mut gb, &prepared.payload, &world.directory());
    assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
    assert_eq!(ga.leaves().len(), 3);
}

#[test]
fn a_revoked_installation_is_taken_out() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let mut b2 = world.add_device(b.inbox, 22);
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b, &mut b2]);
    let (_, mut gb) = (joined.pop().unwrap(), joined.pop().unwrap());
    world.revoke(&b2);
    let plan = world.plan(&ga, world.membership(&ga, &[b.inbox], &[]), &[]);
    assert_eq!(plan.removes, [b2.id()]);
    let prepared = a.build(&mut ga, plan);
    a.take_up(&mut ga, &prepared, &world.directory());
    let report = b.follow(&mut gb, &prepared.payload, &world.directory());
    assert!(report.removed_inboxes.is_empty() && !report.is_visible());
    assert_eq!(ga.leaves(), gb.leaves());
}

#[test]
fn a_correct_commit_of_the_same_generation_opens_after_a_refused_one() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::admin_only()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    // b may not rename; it goes back to its stored state, so that the next commit uses the same generation.
    let mut fork = b.load(gb.id());
    let forbidden = fork
        .build_commit(
            &b.key,
            metadata_plan(&fork, |m| {
                m.attributes.insert(attribute::NAME.into(), "mine".into());
            }),
        )
        .unwrap();
    a.refuse(&mut ga, &forbidden.payload, &directory);
    let allowed = b.build(&mut gb, CommitPlan::default());
    assert_ne!(allowed.payload, forbidden.payload);
    a.follow(&mut ga, &allowed.payload, &directory);
    b.take_up(&mut gb, &allowed, &directory);
    assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
}

#[test]
fn a_postponed_commit_opens_again_from_the_same_bytes() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    let prepared = a.build(&mut ga, CommitPlan::default());
    for _ in 0..3 {
        let opened = open_commit(&mut gb, &prepared.payload);
        assert_eq!(opened.needs()[0].inbox, a.inbox);
        gb.discard();
        gb = b.load(ga.id());
    }
    b.follow(&mut gb, &prepared.payload, &directory);
}

#[test]
fn tampered_bytes_touch_nothing() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    let prepared = a.build(&mut ga, CommitPlan::default());
    let message = ga.encrypt(&a.key, b"text").unwrap();
    for payload in [&prepared.payload, &message] {
        let mut broken = payload.clone();
        *broken.last_mut().unwrap() ^= 1;
        assert!(matches!(gb.open(&broken), Err(OpenError::Undecryptable(_))));
        for length in 0..payload.len() {
            assert!(gb.open(&payload[..length]).is_err());
        }
    }
    assert!(gb.drain().unwrap().is_empty());
    assert_eq!(read(&mut gb, &message).1, b"text");
    b.follow(&mut gb, &prepared.payload, &directory);
}

#[test]
fn a_stale_staged_commit_is_never_merged() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    let lost = a.build(&mut ga, CommitPlan::default());
    let judged = {
        let opened = ga.restage(&lost.staged, lost.base_epoch, &lost.base_authenticator).unwrap();
        ga.judge(opened, &directory).unwrap()
    };
    // b's commit wins the epoch.
    let won = b.build(&mut gb, CommitPlan::default());
    a.follow(&mut ga, &won.payload, &directory);
    let stale = ga.restage(&lost.staged, lost.base_epoch, &lost.base_authenticator);
    assert!(matches!(stale, Err(RestageError::Stale { .. })));
    // The right epoch with another authenticator is a fork.
    let forked = ga.restage(&lost.staged, ga.epoch(), &lost.base_authenticator);
    assert!(matches!(forked, Err(RestageError::Stale { .. })));
    assert!(matches!(ga.merge(judged), Err(MergeError::Stale { .. })));
    // The loser's bytes mean nothing to anybody any more.
    b.take_up(&mut gb, &won, &directory);
    let late = gb.open(&lost.payload);
    assert!(matches!(late, Err(OpenError::WrongEpoch { .. })));
    assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
}

#[test]
fn no_handshake_generation_is_used_twice() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let directory = world.directory();
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let mut gb = joined.pop().unwrap();
    // Two commits on one state: a member that opened both, and merged none, could tell a reused generation.
    let first = a.build(&mut ga, CommitPlan::default());
    ga = a.load(ga.id());
    let second = a.build(&mut ga, CommitPlan::default());
    open_commit(&mut gb, &first.payload);
    let opened = open_commit(&mut gb, &second.payload);
    gb.merge(gb.judge(opened, &directory).unwrap()).unwrap();
    a.take_up(&mut ga, &second, &directory);
    assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
}

#[test]
fn an_own_message_is_a_hint_and_never_decrypted() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let (mut ga, _) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let message = ga.encrypt(&a.key, b"text").unwrap();
    assert!(matches!(ga.open(&message), Err(OpenError::OwnMessage)));
}

#[test]
fn other_groups_and_other_formats_are_told_apart() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let (mut ga, _) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let (mut other, _) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let message = other.encrypt(&a.key, b"text").unwrap();
    assert!(matches!(ga.open(&message), Err(OpenError::OtherGroup)));
    assert!(matches!(ga.open(b"nonsense"), Err(OpenError::Malformed)));
    let mut public = message.clone();
    public[3] = 1;
    assert!(ga.open(&public).is_err());
}

#[test]
fn a_super_admin_re_adds_an_installation() {
    let mut world = World::default();
    let (mut a, mut b, mut c) = (world.register(1), world.register(2), world.register(3));
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b, &mut c]);
    let (mut gc, mut gb) = (joined.pop().unwrap(), joined.pop().unwrap());
    let fresh = crate::world::Device::new(c.inbox, 3);
    let plan = |group: &Group| CommitPlan {
        adds: vec![fresh.package.clone()],
        removes: vec![c.id()],
        ..world.plan(group, group.context().membership().unwrap().clone(), &[])
    };
    // Not by b, who is no super admin.
    let attempt = {
        let mut fork = b.load(gb.id());
        fork.build_commit(&b.key, plan(&fork)).unwrap()
    };
    a.refuse(&mut ga, &attempt.payload, &world.directory());
    let readd = plan(&ga);
    let prepared = a.build(&mut ga, readd);
    let report = a.take_up(&mut ga, &prepared, &world.directory());
    assert_eq!(report.readded, [c.id()].into());
    assert!(report.installations_added.is_empty() && report.installations_removed.is_empty());
    b.follow(&mut gb, &prepared.payload, &world.directory());
    let theirs = c.follow(&mut gc, &prepared.payload, &world.directory());
    assert!(theirs.removed_self);
    assert_eq!(ga.epoch_authenticator(), gb.epoch_authenticator());
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || {
        let mut world = World::default();
        let (mut a, mut b) = (world.register(1), world.register(2));
        let (mut ga, _) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
        let message = ga.encrypt(&a.key, b"text").unwrap();
        let commit = a.build(&mut ga, CommitPlan::default());
        (ga.id().clone(), message.len(), commit.payload.len())
    };
    assert_eq!(run(), run());
}

#[test]
fn groups_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<Group>();
    moves::<subrosa_group::group::JudgedCommit>();
    moves::<subrosa_group::welcome::JudgedWelcome>();
}
