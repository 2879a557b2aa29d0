//! Work that is due at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use subrosa::{Client, Clock, Encryption, GroupOptions, Location, Network, SystemClock, UnixNanos, WalletKey};
use subrosa_testkit::{Fault, Faults, World};

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
    network: Arc<Faults>,
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
