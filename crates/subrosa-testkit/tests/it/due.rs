//! Work that is due at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use subrosa::{
    ChangeError, Client, Clock, Encryption, GroupOptions, Location, MembershipState, MessageFilter, Network,
    PolicyOption, PolicyTarget, SystemClock, UnixNanos, WalletKey,
    content::{Content, EncodedContent},
};
use subrosa_testkit::{Fault, Faults, FaultyNetwork, World, agree};
use subrosa_types::SequenceId;

/// The clock of this machine, moved forward by a test.
#[derive(Default)]
struct Ahead(AtomicI64);

impl Ahead {
    fn move_on(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Ahead {
    fn now(&self) -> UnixNanos {
        SystemClock.now().plus(Duration::from_nanos(self.0.load(Ordering::Relaxed).unsigned_abs()))
    }
}

struct Somebody {
    client: Client,
    clock: Arc<Ahead>,
    network: Arc<FaultyNetwork>,
}

impl Somebody {
    async fn new(world: &World) -> Self {
        let network = Arc::new(Faults::over(Arc::clone(&world.node) as Arc<dyn Network>));
        let clock = Arc::new(Ahead::default());
        let wallet = WalletKey::from_bytes(&[0x77; 32]).unwrap();
        let dyn_network = Arc::clone(&network) as Arc<dyn Network>;
        let client = Client::builder(dyn_network, Location::Memory, Encryption::None)
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .workers(false)
            .open_with(&wallet)
            .await
            .unwrap();
        Self { client, clock, network }
    }

    async fn key_package(&self) -> Vec<u8> {
        let packages = self.network.fetch_key_packages(&[self.client.installation_id()]).await.unwrap();
        packages.into_iter().next().flatten().unwrap()
    }

    /// Runs what is due after some time.
    async fn after(&self, time: Duration) -> Result<(), subrosa::SyncError> {
        self.clock.move_on(time);
        self.client.run_due().await
    }
}

#[tokio::test]
async fn a_key_package_is_replaced_soon_after_it_was_used() {
    let world = World::new();
    let bob = world.person().await;
    let alice = Somebody::new(&world).await;
    let first = alice.key_package().await;
    alice.after(Duration::from_secs(60)).await.unwrap();
    assert_eq!(alice.key_package().await, first, "an unused one stays");

    let inbox = alice.client.inbox_id();
    let group = bob.client.conversations().create_group(&[inbox], GroupOptions::default()).await.unwrap();
    alice.client.conversations().sync().await.unwrap();
    alice.after(Duration::ZERO).await.unwrap();
    assert_eq!(alice.key_package().await, first, "not before five seconds");
    alice.after(Duration::from_secs(6)).await.unwrap();
    let second = alice.key_package().await;
    assert_ne!(second, first);

    // The group and the new package work.
    group.send_text("hello").await.unwrap();
    let other = bob.client.conversations().create_group(&[inbox], GroupOptions::default()).await.unwrap();
    alice.client.conversations().sync_all().await.unwrap();
    for id in [group.id(), other.id()] {
        assert!(alice.client.conversations().get(id).unwrap().is_some());
    }
}

#[tokio::test]
async fn a_rotation_whose_answer_was_lost_goes_on_with_the_same_bytes() {
    let world = World::new();
    let bob = world.person().await;
    let alice = Somebody::new(&world).await;
    bob.client.conversations().create_group(&[alice.client.inbox_id()], GroupOptions::default()).await.unwrap();
    alice.client.conversations().sync().await.unwrap();
    alice.network.fail_uploads(Fault::ReplyLost, 1);
    let failed = alice.after(Duration::from_secs(6)).await;
    assert!(failed.is_err_and(|error| error.is_retryable()));
    let uploaded = alice.key_package().await;
    alice.after(Duration::ZERO).await.unwrap();
    assert_eq!(alice.key_package().await, uploaded);
    alice.after(Duration::from_secs(60)).await.unwrap();
    assert_eq!(alice.key_package().await, uploaded, "it is done");
}

#[tokio::test]
async fn a_new_key_package_used_before_its_owner_knows_of_it_is_replaced_too() {
    let world = World::new();
    let bob = world.person().await;
    let alice = Somebody::new(&world).await;
    let invite = async || {
        bob.client.conversations().create_group(&[alice.client.inbox_id()], GroupOptions::default()).await.unwrap();
        alice.client.conversations().sync().await.unwrap();
    };
    invite().await;
    alice.network.fail_uploads(Fault::ReplyLost, 1);
    assert!(alice.after(Duration::from_secs(6)).await.is_err());
    let second = alice.key_package().await;
    invite().await;
    alice.after(Duration::ZERO).await.unwrap();
    assert_eq!(alice.key_package().await, second, "the rotation that was begun is done");
    alice.after(Duration::from_secs(6)).await.unwrap();
    assert_ne!(alice.key_package().await, second);
}

#[tokio::test]
async fn a_refused_rotation_is_begun_anew() {
    let world = World::new();
    let bob = world.person().await;
    let alice = Somebody::new(&world).await;
    bob.client.conversations().create_group(&[alice.client.inbox_id()], GroupOptions::default()).await.unwrap();
    alice.client.conversations().sync().await.unwrap();
    let first = alice.key_package().await;
    alice.network.fail_uploads(Fault::Refused, 1);
    assert!(alice.after(Duration::from_secs(6)).await.is_err());
    assert_eq!(alice.key_package().await, first);
    alice.after(Duration::ZERO).await.unwrap();
    assert_ne!(alice.key_package().await, first);
}

#[tokio::test]
async fn who_asked_to_leave_is_removed_by_the_super_admin() {
    let world = World::new();
    let (alice, bob, carol) = (world.person().await, world.person().await, world.person().await);
    let members = [bob.inbox(), carol.inbox()];
    let group = alice.client.conversations().create_group(&members, GroupOptions::default()).await.unwrap();
    let (of_bob, of_carol) = (bob.synced(group.id()).await, carol.synced(group.id()).await);
    assert!(matches!(group.leave().await, Err(ChangeError::CannotLeave)), "a super admin has to be demoted first");
    of_bob.leave().await.unwrap();
    of_bob.leave().await.unwrap();
    assert_eq!(of_bob.record().unwrap().membership, MembershipState::PendingRemove);
    assert!(of_bob.is_active().unwrap());

    of_carol.sync().await.unwrap();
    carol.client.run_due().await.unwrap();
    assert_eq!(of_carol.record().unwrap().members.len(), 3, "others do nothing");
    group.sync().await.unwrap();
    alice.client.run_due().await.unwrap();
    of_bob.sync().await.unwrap();
    of_carol.sync().await.unwrap();
    assert!(!of_bob.is_active().unwrap());
    assert_eq!(agree(&[&group, &of_carol]).await.members.len(), 2);

    let left = group.messages(MessageFilter::default()).await.unwrap().into_iter().rev().find_map(|message| {
        match Content::decode(&EncodedContent::from_bytes(&message.content).ok()?) {
            Ok(Content::GroupUpdated(updated)) => Some(updated.left),
            _ => None,
        }
    });
    assert_eq!(left.map(|left| left.len()), Some(1), "the transcript says that it left");
}

#[tokio::test]
async fn a_policy_change_takes_effect_for_all() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    let of_bob = bob.synced(group.id()).await;
    group.set_policy(PolicyTarget::Metadata("group_name".to_owned()), PolicyOption::Admins).await.unwrap();
    assert!(of_bob.set_name("not mine to give").await.is_err());
    assert_eq!(of_bob.policies().unwrap(), group.policies().unwrap());
    group.set_name("given by an admin").await.unwrap();
    of_bob.sync().await.unwrap();
    assert_eq!(of_bob.name().unwrap(), "given by an admin");
}

#[tokio::test]
async fn push_keys_recognise_own_messages() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
    group.send_text("mine").await.unwrap();
    bob.synced(group.id()).await.send_text("yours").await.unwrap();
    let keys = alice.client.hmac_keys().unwrap();
    assert_eq!((keys.len(), &keys[0].topic), (1, &group.topic()));
    let page = world.node.query_group_messages(group.id(), SequenceId::START).await.unwrap();
    let own: Vec<bool> = page
        .items
        .into_iter()
        .map(|received| {
            let message = received.item.unwrap();
            keys[0].keys.iter().any(|(_, key)| key.verifies(&message.data, &message.sender_hmac))
        })
        .collect();
    // Adding bob and "mine" are alice's; bob's renewal and "yours" are not.
    assert_eq!(own, [true, true, false, false]);
}
