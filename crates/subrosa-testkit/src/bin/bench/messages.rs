//! Sending, reading, listing and streaming messages.

use std::time::Instant;

use subrosa::{Conversation, Delivery, MessageFilter, MessageKind};
use tokio::sync::mpsc;

use crate::{
    Outcome, expect,
    groups::{group, stored as found},
    people::{People, Person},
    report::{Report, timed},
    resources::settled,
};

/// How many application messages are known to be in the group's log.
pub(crate) async fn applied(group: &Conversation) -> Outcome<usize> {
    let mut filter = MessageFilter::default();
    filter.kind = Some(MessageKind::Application);
    filter.delivery = Some(Delivery::Published);
    Ok(usize::try_from(group.count_messages(filter).await?)?)
}

/// Sending singly and together.
pub(crate) async fn send(people: &mut People, report: &mut Report) -> Outcome {
    let inboxes = people.populate(report).await?;
    let sender = people.person().await?.client;
    for n in [2, 100] {
        let group = group(&sender, &inboxes[..n - 1]).await?;
        group.send_text("warm up").await?;
        let mut one = Vec::new();
        for i in 0..report.times(40) {
            one.push(timed(group.send_text(format!("message {i}"))).await?.0);
        }
        expect(applied(&group).await?, one.len() + 1, "messages sent")?;
        report.durations(format!("send 1 message, group of {n}"), &one);
    }

    let mut singly = Vec::new();
    for _ in 0..report.times(3) {
        let group = group(&sender, &inboxes[..1]).await?;
        let begun = Instant::now();
        for i in 0..100 {
            group.send_text(format!("message {i}")).await?;
        }
        singly.push(begun.elapsed());
        expect(applied(&group).await?, 100, "messages sent")?;
    }
    report.durations("send 100 messages one after another", &singly);

    let (mut total, mut publishing) = (Vec::new(), Vec::new());
    for _ in 0..report.times(5) {
        let group = group(&sender, &inboxes[..1]).await?;
        let begun = Instant::now();
        for i in 0..100 {
            group.queue_text(format!("message {i}")).await?;
        }
        let queued = begun.elapsed();
        group.publish().await?;
        total.push(begun.elapsed());
        publishing.push(begun.elapsed() - queued);
        expect(applied(&group).await?, 100, "messages published")?;
    }
    report.durations("send 100 messages optimistically, then publish", &total);
    report.durations("of which publishing", &publishing);
    sender.close().await;
    Ok(())
}

/// A receiver that has joined, and `n` messages waiting for it.
async fn waiting(people: &mut People, sender: &Person, n: usize) -> Outcome<(Person, Conversation)> {
    let receiver = people.person().await?;
    let group = group(&sender.client, &[receiver.client.inbox_id()]).await?;
    receiver.client.conversations().sync().await?;
    let received = found(&receiver.client, group.id())?;
    received.sync().await?;
    for i in 0..n {
        group.queue_text(format!("this is message number {i} of the benchmark run")).await?;
    }
    group.publish().await?;
    Ok((receiver, received))
}

/// Reading what others sent, and what it takes on disk.
pub(crate) async fn read(people: &mut People, report: &mut Report) -> Outcome {
    let sender = people.person().await?;
    for n in [100, 1000] {
        let mut read = Vec::new();
        for _ in 0..report.times(4) {
            let (receiver, group) = waiting(people, &sender, n).await?;
            read.push(timed(group.sync()).await?.0);
            expect(applied(&group).await?, n, "messages read")?;
            receiver.client.close().await;
        }
        report.durations(format!("sync {n} messages of one group at a second client"), &read);
    }

    let mut growth = Vec::new();
    for _ in 0..report.times(2) {
        let (receiver, group) = waiting(people, &sender, 1000).await?;
        let (before, receiver) = settled(people, receiver).await?;
        found(&receiver.client, group.id())?.sync().await?;
        let (after, receiver) = settled(people, receiver).await?;
        growth.push(after - before);
        receiver.client.close().await;
    }
    report.values("receiver db growth for 1000 messages", "KiB", growth);
    sender.client.close().await;
    Ok(())
}

/// Listing what is stored.
pub(crate) async fn stored(people: &mut People, report: &mut Report) -> Outcome {
    let sender = people.person().await?.client;
    let peer = people.in_memory().await?.1;
    let group = group(&sender, &[peer.inbox_id()]).await?;
    for i in 0..1000 {
        group.queue_text(format!("stored {i}")).await?;
    }
    group.publish().await?;
    let mut list = Vec::new();
    for _ in 0..report.times(8) {
        list.push(timed(group.messages(MessageFilter::default())).await?.0);
    }
    report.durations("listMessages over 1000 stored messages", &list);
    sender.close().await;
    Ok(())
}

/// From the call that sends to the stream of another client in the same process.
pub(crate) async fn stream(people: &mut People, report: &mut Report) -> Outcome {
    let (sender, receiver) = (people.person().await?.client, people.person().await?.client);
    let group = group(&sender, &[receiver.inbox_id()]).await?;
    receiver.conversations().sync().await?;
    let received = found(&receiver, group.id())?;
    received.sync().await?;
    let mut stream = received.stream()?;
    stream.ready().await;
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    let reading = tokio::spawn(async move {
        while let Some(message) = stream.next().await {
            if message.kind == MessageKind::Application && arrived.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    let mut latencies = Vec::new();
    for i in 0..=report.times(40) {
        let begun = Instant::now();
        group.send_text(format!("s{i}")).await?;
        let at = arrivals.recv().await.ok_or("the stream ended")?;
        latencies.push(at - begun);
    }
    // The first warms up.
    report.durations("send to stream callback at the other client", &latencies[1..]);
    reading.abort();
    sender.close().await;
    receiver.close().await;
    Ok(())
}
