//! Making, changing, joining and syncing groups.

use subrosa::{Client, Conversation, GroupId, GroupOptions, InboxId, ListOptions};

use crate::{
    Outcome, expect,
    messages::applied,
    people::{People, Person},
    report::{Report, timed},
};

/// A new group with these members besides its creator.
pub(crate) async fn group(creator: &Client, members: &[InboxId]) -> Outcome<Conversation> {
    Ok(creator.conversations().create_group(members, GroupOptions::default()).await?)
}

/// A conversation that must be in this client's database.
pub(crate) fn stored(client: &Client, id: &GroupId) -> Outcome<Conversation> {
    Ok(client.conversations().get(id)?.ok_or("the group is not in the database")?)
}

fn members(group: &Conversation) -> Outcome<usize> {
    Ok(group.record()?.members.len())
}

/// Cold: a creator that never met the members. Warm: the same creator, the same members again.
pub(crate) async fn create(people: &mut People, report: &mut Report) -> Outcome {
    let inboxes = people.populate(report).await?;
    for n in [2, 10, 50, 100, 200] {
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for _ in 0..report.times(if n >= 100 { 4 } else { 6 }) {
            let creator = people.person().await?.client;
            for samples in [&mut cold, &mut warm] {
                let (took, group) = timed(group(&creator, &inboxes[..n - 1])).await?;
                expect(members(&group)?, n, "members of a new group")?;
                samples.push(took);
            }
            creator.close().await;
        }
        report.durations(format!("create group, {n} members in total, never met"), &cold);
        report.durations(format!("create group, {n} members in total"), &warm);
    }
    Ok(())
}

/// Adding and removing members, direct messages, names.
pub(crate) async fn change(people: &mut People, report: &mut Report) -> Outcome {
    let inboxes = people.populate(report).await?;
    let creator = people.person().await?.client;
    let (mut add, mut remove) = (Vec::new(), Vec::new());
    for _ in 0..report.times(5) {
        let group = group(&creator, &inboxes[..99]).await?;
        add.push(timed(group.add_members(&inboxes[100..110])).await?.0);
        expect(members(&group)?, 110, "members after adding")?;
        remove.push(timed(group.remove_members(&inboxes[100..110])).await?.0);
        expect(members(&group)?, 100, "members after removing")?;
    }
    report.durations("add 10 members to a group of 100", &add);
    report.durations("remove 10 members from a group of 110", &remove);

    let mut dm = Vec::new();
    for _ in 0..report.times(8) {
        let peer = people.in_memory().await?.1;
        dm.push(timed(creator.conversations().dm(peer.inbox_id())).await?.0);
    }
    report.durations("create dm", &dm);

    let group = group(&creator, &inboxes[..1]).await?;
    let mut name = Vec::new();
    for i in 0..report.times(10) {
        name.push(timed(group.set_name(&format!("n{i}"))).await?.0);
    }
    report.durations("update group name, 2 members", &name);
    creator.close().await;
    Ok(())
}

/// Taking a welcome.
pub(crate) async fn join(people: &mut People, report: &mut Report) -> Outcome {
    let inboxes = people.populate(report).await?;
    let creator = people.person().await?.client;
    for n in [2, 100] {
        let mut join = Vec::new();
        for _ in 0..report.times(8) {
            let member = people.person().await?.client;
            let mut all = vec![member.inbox_id()];
            all.extend(&inboxes[..n - 2]);
            let made = group(&creator, &all).await?;
            join.push(timed(member.conversations().sync()).await?.0);
            expect(members(&stored(&member, made.id())?)?, n, "members of the joined group")?;
            member.close().await;
        }
        report.durations(format!("sync one welcome (join group of {n})"), &join);
    }
    creator.close().await;
    Ok(())
}

/// Syncing and listing many groups, and opening their database.
pub(crate) async fn many(people: &mut People, report: &mut Report) -> Outcome {
    let creator = people.person().await?.client;
    for n in [50, 100] {
        let member = people.person().await?;
        let mut sending = Vec::new();
        for _ in 0..n {
            sending.push(group(&creator, &[member.client.inbox_id()]).await?);
        }
        let member = sync_all(member, &sending, report).await?;
        if n == 100 {
            reopen(people, member, report).await?;
        }
    }
    creator.close().await;
    Ok(())
}

async fn sync_all(member: Person, sending: &[Conversation], report: &mut Report) -> Outcome<Person> {
    let (n, conversations) = (sending.len(), member.client.conversations());
    let joined = timed(conversations.sync_all()).await?.0;
    report.durations(format!("syncAll joining {n} new groups (welcomes)"), &[joined]);

    let (mut busy, mut quiet, mut list) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..report.times(4) {
        for group in sending {
            group.send_text("x").await?;
        }
        busy.push(timed(conversations.sync_all()).await?.0);
        for group in sending {
            let received = stored(&member.client, group.id())?;
            expect(applied(&received).await?, i + 1, "messages of a group")?;
        }
    }
    report.durations(format!("syncAll over {n} groups with one new message each"), &busy);
    for _ in 0..report.times(10) {
        quiet.push(timed(conversations.sync_all()).await?.0);
    }
    report.durations(format!("syncAll over {n} groups with nothing new"), &quiet);
    for _ in 0..report.times(10) {
        list.push(timed(async { conversations.list(&ListOptions::default()) }).await?.0);
    }
    report.durations(format!("list {n} conversations"), &list);
    Ok(member)
}

async fn reopen(people: &People, member: Person, report: &mut Report) -> Outcome {
    let Person { client, wallet, file } = member;
    client.close().await;
    let mut reopen = Vec::new();
    for _ in 0..report.times(5) {
        let (took, client) = timed(people.reopen(&file, &wallet)).await?;
        expect(client.conversations().list(&ListOptions::default())?.len(), 100, "groups after reopening")?;
        client.close().await;
        reopen.push(took);
    }
    report.durations("reopen the database of 100 groups", &reopen);
    Ok(())
}
