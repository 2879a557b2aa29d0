//! People talk.

use subrosa::GroupOptions;
use subrosa_testkit::{World, agree};

#[tokio::test]
async fn two_people_talk_in_a_group() {
    let world = World::new();
    let (alice, bob) = (world.person().await, world.person().await);
    let group = alice.client.conversations().create_group(&[bob.inbox()], GroupOptions::named("rose")).await.unwrap();
    group.send_text("hello").await.unwrap();
    let theirs = bob.synced(group.id()).await;
    theirs.send_text("hello yourself").await.unwrap();
    group.sync().await.unwrap();
    theirs.sync().await.unwrap();
    let view = agree(&[&group, &theirs]).await;
    assert_eq!(view.texts(), ["hello", "hello yourself"]);
    assert_eq!(view.members.len(), 2);
    assert_eq!(theirs.name().unwrap(), "rose");
}
