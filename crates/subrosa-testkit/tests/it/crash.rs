//! The process is killed, at every place where it could be, and started again from disk.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use subrosa::{Conversation, GroupOptions};
use subrosa_testkit::{Person, View, World, agree};

/// Runs `work` until it has waited `pauses` times, then drops it as a killed process would. True if it ended before.
async fn until_killed(pauses: usize, work: impl Future) -> bool {
    let mut work = pin!(work);
    let mut left = pauses;
    std::future::poll_fn(|cx: &mut Context<'_>| match work.as_mut().poll(cx) {
        Poll::Ready(_) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

struct Scene {
    world: World,
    alice: Person,
    bob: Person,
    group: subrosa::GroupId,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        let (alice, bob) = (world.person().await, world.person().await);
        let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::default()).await.unwrap();
        let group = group.id().clone();
        bob.synced(&group).await;
        Self { world, alice, bob, group }
    }

    /// After the crash: the killed client is opened again and syncs; both see the same, and nothing is outstanding.
    async fn settles(mut self) -> (View, Conversation) {
        self.alice.reopen().await;
        let ours = self.alice.synced(&self.group).await;
        ours.sync().await.unwrap();
        assert!(ours.debug_info().unwrap().outstanding == 0, "an intent is outstanding after two syncs");
        let theirs = self.bob.synced(&self.group).await;
        (agree(&[&ours, &theirs]).await, ours)
    }
}

#[tokio::test]
async fn killed_while_sending_sends_once() {
    // What is awaited is often done at once by another thread, so a run may have fewer pauses than the one before.
    let (mut pauses, mut killed, mut ended_in_a_row) = (0, 0, 0);
    while ended_in_a_row < 5 {
        let scene = Scene::new().await;
        let group = scene.alice.find(&scene.group).await;
        let ended = until_killed(pauses, group.send_text("exactly once")).await;
        drop(group);
        let (view, _) = scene.settles().await;
        assert!(view.texts().len() <= 1, "killed after {pauses} pauses: sent {} times", view.texts().len());
        if ended {
            assert_eq!(view.texts(), ["exactly once"]);
            ended_in_a_row += 1;
        } else {
            (pauses, killed, ended_in_a_row) = (pauses + 1, killed + 1, 0);
        }
    }
    assert!(killed > 0, "there was something to kill");
}

#[tokio::test]
async fn killed_while_renaming_renames_once() {
    for pauses in 0.. {
        let scene = Scene::new().await;
        let group = scene.alice.find(&scene.group).await;
        let before = group.record().unwrap().epoch.0;
        let ended = until_killed(pauses, group.set_name("renamed")).await;
        drop(group);
        let (view, _) = scene.settles().await;
        assert!(view.epoch <= before + 1, "killed after {pauses} pauses: committed {} times", view.epoch - before);
        assert_eq!(view.epoch == before + 1, view.attributes["group_name"] == "renamed");
        if ended {
            assert_eq!(view.epoch, before + 1);
            return;
        }
    }
}

#[tokio::test]
async fn killed_while_adding_adds_once_and_welcomes() {
    for pauses in 0.. {
        let scene = Scene::new().await;
        let carol = scene.world.person().await;
        let group = scene.alice.find(&scene.group).await;
        let ended = until_killed(pauses, group.add_members(&[carol.inbox()])).await;
        drop(group);
        let (view, ours) = scene.settles().await;
        if view.members.contains(&carol.inbox()) {
            let theirs = carol.synced(ours.id()).await;
            ours.send_text("hello carol").await.unwrap();
            theirs.sync().await.unwrap();
            agree(&[&ours, &theirs]).await;
        } else {
            assert!(!ended, "an addition that was confirmed took effect");
        }
        if ended {
            return;
        }
    }
}
