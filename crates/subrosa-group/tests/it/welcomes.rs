//! Joining: wrapping, pointers, and what a welcome is refused for (groups §6, §10.5).

use subrosa_envelope::{WelcomeInput, WrapperAlgorithm};
use subrosa_group::{
    RowKey, Wrapper,
    context::{ContextChange, ConversationKind, PolicySet},
    delete_key_package,
    group::{CommitPlan, NewGroup, NewKind},
    key_package_rows,
    welcome::{OpenedWelcome, Recipient, UnwrapError, Unwrapped, WelcomeKeys, WelcomePlaintext, WelcomeRefusal, wrap},
    wrapper_row,
};
use subrosa_types::{Epoch, SequenceId};

use crate::world::{Device, World, plain, read};

#[test]
fn above_two_recipients_one_welcome_is_shared() {
    let mut world = World::default();
    let mut a = world.register(1);
    let mut others: Vec<Device> = (2..=5).map(|seed| world.register(seed)).collect();
    let mut borrowed: Vec<&mut Device> = others.iter_mut().collect();
    let (mut ga, joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut borrowed);
    let message = ga.encrypt(&a.key, b"all").unwrap();
    for mut group in joined {
        assert_eq!(read(&mut group, &message).1, b"all");
    }
}

#[test]
fn pointers_are_for_those_who_can_take_them() {
    let mut world = World::default();
    let a = world.register(1);
    let others: Vec<Device> = (2..=5).map(|seed| world.register(seed)).collect();
    let mut recipients: Vec<Recipient> = others.iter().map(|device| Recipient::from(&device.package)).collect();
    recipients[3].takes_pointers = false;
    let wrapped = wrap(b"welcome", SequenceId(7), &recipients, &a.random).unwrap().welcomes;
    assert_eq!(wrapped.len(), 5);
    assert!(matches!(&wrapped[0], WelcomeInput::Direct { wrapper: WrapperAlgorithm::Symmetric, hpke_public_key, .. }
        if hpke_public_key.is_empty()));
    assert!(wrapped[1..4].iter().all(|welcome| matches!(welcome, WelcomeInput::Pointer { .. })));
    assert!(matches!(&wrapped[4], WelcomeInput::Direct { wrapper: WrapperAlgorithm::XWing, .. }));
    recipients.truncate(2);
    let wrapped = wrap(b"welcome", SequenceId(7), &recipients, &a.random).unwrap().welcomes;
    assert!(wrapped.iter().all(|welcome| matches!(welcome, WelcomeInput::Direct { .. })));
    let keys = others[0].keys(others[0].package.wrapper().public_key());
    let Unwrapped::Welcome(plaintext) = keys.unwrap(&wrapped[0]).unwrap() else { panic!("a direct welcome") };
    assert_eq!(plaintext.welcome, b"welcome");
    assert_eq!(plaintext.metadata, [8, 7]);
    assert_eq!(plaintext.message_cursor(), SequenceId(7));
}

#[test]
fn many_welcomes_keep_the_order_of_recipients() {
    let mut world = World::default();
    let a = world.register(1);
    let recipients: Vec<Recipient> = (10..40)
        .map(|seed| {
            let device = Device::new(a.inbox, seed);
            Recipient { takes_pointers: false, ..Recipient::from(&device.package) }
        })
        .collect();
    let wrapped = wrap(b"welcome", SequenceId(1), &recipients, &a.random).unwrap().welcomes;
    let order: Vec<_> = wrapped.iter().map(|welcome| *welcome.installation()).collect();
    assert_eq!(order, recipients.iter().map(|recipient| recipient.installation).collect::<Vec<_>>());
}

#[test]
fn an_unusable_wrapper_key_fails_alone() {
    let mut world = World::default();
    let (a, b) = (world.register(1), world.register(2));
    let good = Recipient::from(&b.package);
    let bad = Recipient { wrapper: Wrapper::XWing(vec![1; 5]), ..Recipient::from(&a.package) };
    let wrapped = wrap(b"welcome", SequenceId(1), &[bad, good], &a.random).unwrap();
    assert_eq!(wrapped.failed, [a.id()]);
    assert_eq!(wrapped.welcomes.len(), 1);
}

#[test]
fn a_broken_wrapper_does_not_open() {
    let mut world = World::default();
    let (a, b) = (world.register(1), world.register(2));
    let wrapped = wrap(b"welcome", SequenceId(1), &[Recipient::from(&b.package)], &a.random).unwrap().welcomes;
    let keys = b.keys(b.package.wrapper().public_key());
    let WelcomeInput::Direct { installation_key, data, hpke_public_key, wrapper, metadata } = wrapped[0].clone() else {
        panic!("a direct welcome")
    };
    let with = |data: Vec<u8>, metadata: Vec<u8>, wrapper| WelcomeInput::Direct {
        installation_key,
        data,
        hpke_public_key: hpke_public_key.clone(),
        wrapper,
        metadata,
    };
    let open = |input: WelcomeInput| keys.unwrap(&input).map(|_| ());
    let mut flipped = data.clone();
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(open(with(flipped, metadata.clone(), wrapper)), Err(UnwrapError::Decrypt));
    assert_eq!(open(with(vec![3, 1], metadata.clone(), wrapper)), Err(UnwrapError::Malformed));
    assert_eq!(open(with(data.clone(), vec![1; 18], wrapper)), Err(UnwrapError::Decrypt));
    let symmetric = WrapperAlgorithm::Symmetric;
    assert_eq!(open(with(data.clone(), metadata.clone(), symmetric)), Err(UnwrapError::Algorithm));
    // Without metadata there is no cursor.
    let Unwrapped::Welcome(plaintext) = keys.unwrap(&with(data, vec![], wrapper)).unwrap() else { panic!("direct") };
    assert_eq!(plaintext.message_cursor(), SequenceId::START);
}

#[test]
fn keys_are_found_by_public_key_and_deleted_as_a_whole() {
    let mut world = World::default();
    let device = world.register(1);
    let rows = device.disk.scope(&[]);
    let get = |key: &RowKey| rows.iter().find(|(found, _)| found == key).map(|(_, value)| value.clone());
    let lookup = get(&wrapper_row(device.package.wrapper().public_key())).unwrap();
    assert!(key_package_rows(&lookup).unwrap().iter().all(|row| get(row).is_some()));
    assert!(WelcomeKeys::from_rows(&[1; 32], rows.clone()).unwrap().is_none());
    let new =
        subrosa_group::NewKeyPackage::create(&device.inbox, &device.key, crate::world::now(), &device.random).unwrap();
    let stored: std::collections::BTreeMap<_, _> = new.rows.put.iter().cloned().collect();
    let deletion = delete_key_package(&new.hash_ref, |key| stored.get(key).cloned()).unwrap();
    assert_eq!(
        deletion.delete.iter().cloned().collect::<std::collections::BTreeSet<_>>(),
        stored.keys().cloned().collect()
    );
}

/// a adds b with this plan; b has unwrapped and staged the welcome.
fn welcome_of(
    a: &mut Device,
    b: &Device,
    new: NewGroup,
    plan: impl FnOnce(&subrosa_group::Group) -> CommitPlan,
) -> OpenedWelcome {
    let mut ga = a.create(new);
    let plan = plan(&ga);
    let prepared = a.build(&mut ga, plan);
    open(b, prepared.welcome.unwrap())
}

fn open(b: &Device, welcome: Vec<u8>) -> OpenedWelcome {
    let keys = b.keys(b.package.wrapper().public_key());
    keys.open(&WelcomePlaintext { welcome, metadata: vec![8, 77] }, &b.random).unwrap()
}

#[test]
fn a_welcome_whose_membership_and_tree_disagree_is_refused() {
    let mut world = World::default();
    let (mut a, b, c) = (world.register(1), world.register(2), world.register(3));
    let b2 = world.add_device(b.inbox, 22);
    let add_b = |membership| CommitPlan {
        adds: vec![b.package.clone()],
        context: ContextChange { membership: Some(membership), ..ContextChange::default() },
        ..CommitPlan::default()
    };
    let group = || plain(PolicySet::all_members());
    let judge = |opened: OpenedWelcome| opened.judge(&world.directory(), &b.sender(), None).map(|_| ()).unwrap_err();
    // b2 is missing and not listed as failed.
    let opened = welcome_of(&mut a, &b, group(), |g| add_b(world.membership(g, &[g_creator(g), b.inbox], &[])));
    assert_eq!(judge(opened), WelcomeRefusal::InstallationMissing { inbox: b.inbox, installation: b2.id() });
    // Listed as failed, it may be missing; other failed entries are no error.
    let opened = welcome_of(&mut a, &b, group(), |g| {
        let mut membership = world.membership(g, &[g_creator(g), b.inbox], &[]);
        membership.failed.extend([b2.id().as_bytes().to_vec(), vec![1]]);
        add_b(membership)
    });
    assert_eq!(opened.message_cursor(), SequenceId(77));
    assert_eq!(opened.adder(), a.sender());
    assert!(opened.judge(&world.directory(), &b.sender(), None).is_ok());
    // A member without any leaf.
    let opened = welcome_of(&mut a, &b, group(), |g| {
        let mut membership = world.membership(g, &[g_creator(g), b.inbox, c.inbox], &[]);
        membership.failed.insert(b2.id().as_bytes().to_vec());
        add_b(membership)
    });
    assert_eq!(judge(opened), WelcomeRefusal::InstallationMissing { inbox: c.inbox, installation: c.id() });
    // The creator still at 0.
    let opened = welcome_of(&mut a, &b, group(), |g| add_b(world.membership(g, &[b.inbox], &[])));
    let refusal = judge(opened);
    assert_eq!(refusal, WelcomeRefusal::MissingIdentity { inbox: a.inbox, sequence: SequenceId::START });
    // b's leaf, but not b.
    let opened = welcome_of(&mut a, &b, group(), |g| add_b(world.membership(g, &[g_creator(g)], &[])));
    assert_eq!(judge(opened), WelcomeRefusal::LeafNotMember(b.id()));
}

fn g_creator(group: &subrosa_group::Group) -> subrosa_types::InboxId {
    group.context().immutable().unwrap().creator.parse().unwrap()
}

#[test]
fn a_welcome_to_a_group_we_are_in_changes_nothing_unless_it_is_later() {
    let mut world = World::default();
    let (mut a, b) = (world.register(1), world.register(2));
    let mut ga = a.create(plain(PolicySet::all_members()));
    let plan = world.plan(&ga, world.membership(&ga, &[a.inbox, b.inbox], &[]), &[&b]);
    let prepared = a.build(&mut ga, plan);
    let (welcome, epoch) = (prepared.welcome.unwrap(), prepared.base_epoch.next());
    let judged = |active| open(&b, welcome.clone()).judge(&world.directory(), &b.sender(), active);
    assert_eq!(judged(Some(epoch)).unwrap_err(), WelcomeRefusal::AlreadyProcessed(epoch));
    assert!(judged(Some(Epoch(0))).is_ok());
    assert!(judged(None).is_ok());
}

#[test]
fn dms_are_between_the_adder_and_us() {
    let mut world = World::default();
    let (mut a, b, c) = (world.register(1), world.register(2), world.register(3));
    let dm = |peer: &Device| NewGroup { kind: NewKind::Dm(peer.inbox), attributes: Default::default() };
    let add_b = |g: &subrosa_group::Group| world.plan(g, world.membership(g, &[g_creator(g), b.inbox], &[]), &[&b]);
    let judge = |opened: OpenedWelcome| opened.judge(&world.directory(), &b.sender(), None);
    let judged = judge(welcome_of(&mut a, &b, dm(&b), add_b)).unwrap();
    assert_eq!(judged.immutable().kind, ConversationKind::Dm);
    let refusal = judge(welcome_of(&mut a, &b, dm(&c), add_b)).unwrap_err();
    assert_eq!(refusal, WelcomeRefusal::DmMembers);
    let with = |change: fn(&mut ContextChange)| {
        move |g: &subrosa_group::Group| {
            let mut plan = add_b(g);
            plan.context.mutable = Some(g.context().mutable().unwrap().clone());
            change(&mut plan.context);
            plan
        }
    };
    let admins = with(|context| context.mutable.as_mut().unwrap().admins.push("x".into()));
    assert_eq!(judge(welcome_of(&mut a, &b, dm(&b), admins)).unwrap_err(), WelcomeRefusal::DmAdmins);
    let policies = with(|context| context.permissions = Some(PolicySet::all_members()));
    assert_eq!(judge(welcome_of(&mut a, &b, dm(&b), policies)).unwrap_err(), WelcomeRefusal::DmPermissions);
}

#[test]
fn a_welcome_replaces_the_older_state_of_its_group() {
    let mut world = World::default();
    let (mut a, mut b) = (world.register(1), world.register(2));
    let (mut ga, mut joined) = world.group(plain(PolicySet::all_members()), &mut a, &mut [&mut b]);
    let old = joined.pop().unwrap();
    let before = b.disk.scope(ga.id().as_bytes()).len();
    // a re-adds b with a fresh key package.
    let fresh = Device::new(b.inbox, 2);
    let plan = CommitPlan { adds: vec![fresh.package.clone()], removes: vec![b.id()], ..CommitPlan::default() };
    let prepared = a.build(&mut ga, plan);
    a.take_up(&mut ga, &prepared, &world.directory());
    b.disk.apply(&[], subrosa_group::RowChanges { put: fresh.disk.scope(&[]), ..Default::default() });
    let recipients = [Recipient::from(&fresh.package)];
    let wrapped = wrap(&prepared.welcome.unwrap(), SequenceId(9), &recipients, &a.random).unwrap().welcomes;
    let mut gb = b.join(&wrapped, &world.directory());
    old.discard();
    assert_eq!(gb.epoch_authenticator(), ga.epoch_authenticator());
    assert_eq!(b.disk.scope(ga.id().as_bytes()).len(), before);
    let message = ga.encrypt(&a.key, b"again").unwrap();
    assert_eq!(read(&mut gb, &message).1, b"again");
    assert_eq!(b.load(ga.id()).epoch_authenticator(), ga.epoch_authenticator());
}
