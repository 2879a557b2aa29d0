//! What happens in the demo.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use serde_json::{Value, json};

use super::{
    child::NodeProcess,
    facts::{Agreement, Text, Truth, View},
    show::Show,
    world::{Folder, Installation, Person, text},
};
use crate::failure::Failure;

// People, and their installations, by index.
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;
const PHONE: usize = 0;
const LAPTOP: usize = 1;
const BOBS: usize = 2;
const CAROLS: usize = 3;
const DAVES: usize = 4;

/// A conversation and what must become of it.
struct Talk {
    group: String,
    /// Installations that are in it now.
    inside: BTreeSet<usize>,
    /// Every message with the installations that were in it when it was sent.
    sent: Vec<(Text, BTreeSet<usize>)>,
}

/// The world of the demo.
pub(super) struct Script {
    // Dropped in this order: processes end before their folder goes.
    pub(super) clients: Vec<Installation>,
    pub(super) node: NodeProcess,
    pub(super) folder: Folder,
    pub(super) people: Vec<Person>,
    pub(super) group: String,
    show: Show,
}

impl Script {
    /// Starts the node and makes the people.
    pub(super) async fn new(folder: Folder, mut show: Show) -> Result<Self, Failure> {
        let people = ["alice", "bob", "carol", "dave"].into_iter().map(Person::new).collect::<Result<Vec<_>, _>>()?;
        folder.save_wallets(&people)?;
        let names = [("alice-phone", ALICE), ("alice-laptop", ALICE), ("bob", BOB), ("carol", CAROL), ("dave", DAVE)];
        let clients = names.into_iter().map(|(name, person)| Installation::new(&folder, name, person));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let node = NodeProcess::start(&folder.path().join("node"), &folder.path().join("node.log")).await?;
        show.done(
            &format!("a node listens on {}", node.address),
            "it orders and stores envelopes, durably; it sees no content and no keys",
        )?;
        Ok(Self { clients, node, folder, people, group: String::new(), show })
    }

    /// Everything; what every database says at the end.
    pub(super) async fn play(&mut self) -> Result<Vec<Agreement>, Failure> {
        self.register().await?;
        let mut group = self.make_group().await?;
        self.group.clone_from(&group.group);
        self.talk(&mut group).await?;
        self.change_members(&mut group).await?;
        let dm = self.direct_message().await?;
        self.crash(&mut group).await?;
        self.close().await?;
        let agreements = vec![
            self.compare("group", &group, "Sub rosa", &[ALICE, BOB, DAVE]).await?,
            self.compare("direct message", &dm, "", &[ALICE, BOB]).await?,
        ];
        for client in &mut self.clients {
            client.close().await?;
        }
        Ok(agreements)
    }

    pub(super) const fn show(&self) -> &Show {
        &self.show
    }

    async fn register(&mut self) -> Result<(), Failure> {
        let (url, people) = (self.node.url(), &self.people);
        let first = self.clients.iter_mut().enumerate().filter(|(index, _)| *index != LAPTOP);
        let opened =
            first.map(|(_, client)| async { Ok::<_, Failure>((client.person, client.open(&url, people).await?)) });
        let inboxes = try_join_all(opened).await?;
        for (person, inbox) in inboxes {
            self.people[person].inbox = inbox;
        }
        self.show.done(
            "four people register, each in a process of its own",
            "a wallet signs for an inbox and its installation key; every database is encrypted",
        )?;
        let inbox = self.clients[LAPTOP].open(&url, &self.people).await?;
        if inbox != self.people[ALICE].inbox {
            return Err(Failure::new("alice's second installation is in another inbox"));
        }
        self.show.done("alice registers a second installation, her laptop", "the same inbox, a key of its own")
    }

    async fn make_group(&mut self) -> Result<Talk, Failure> {
        let inboxes = self.inboxes(&[BOB, CAROL]);
        let made = self.clients[PHONE].call("create_group", json!({ "inboxes": inboxes, "name": "Garden" })).await?;
        let inside = BTreeSet::from([PHONE, LAPTOP, BOBS, CAROLS]);
        let talk = Talk { group: text(&made, "group")?, inside, sent: Vec::new() };
        self.sync(&talk).await?;
        self.show.done(
            "alice makes a group with bob and carol",
            "one commit adds all installations, hers too; each finds a sealed welcome at the node",
        )?;
        Ok(talk)
    }

    async fn talk(&mut self, group: &mut Talk) -> Result<(), Failure> {
        self.send(group, PHONE, "The roses are in bloom.").await?;
        self.send(group, BOBS, "I bring the tea.").await?;
        self.send(group, CAROLS, "And I the cake.").await?;
        self.send(group, LAPTOP, "Tonight, then.").await?;
        self.show.done("everybody writes and everybody reads", "MLS application messages, in the order of the node")?;
        self.clients[BOBS].call("set_name", json!({ "group": group.group, "name": "Rose garden" })).await?;
        self.sync(group).await?;
        self.show.done("bob renames the group", "a commit: a new epoch with new keys for everybody")
    }

    async fn change_members(&mut self, group: &mut Talk) -> Result<(), Failure> {
        let dave = self.inboxes(&[DAVE]);
        self.clients[CAROLS].call("add", json!({ "group": group.group, "inboxes": dave })).await?;
        group.inside.insert(DAVES);
        self.sync(group).await?;
        self.send(group, DAVES, "What did I miss?").await?;
        self.show.done("carol adds dave, who writes", "he reads from now on; what was before stays closed to him")?;

        let carol = self.inboxes(&[CAROL]);
        self.clients[LAPTOP].call("remove", json!({ "group": group.group, "inboxes": carol })).await?;
        self.sync(group).await?;
        group.inside.remove(&CAROLS);
        self.send(group, PHONE, "Carol is away for a while.").await?;
        self.show.done(
            "alice's laptop removes carol, and the others go on",
            "carol learns that she is out; the new epoch has no key for her",
        )
    }

    async fn direct_message(&mut self) -> Result<Talk, Failure> {
        let alice = self.people[ALICE].inbox.clone();
        let made = self.clients[BOBS].call("create_dm", json!({ "inbox": alice })).await?;
        let inside = BTreeSet::from([PHONE, LAPTOP, BOBS]);
        let mut dm = Talk { group: text(&made, "group")?, inside, sent: Vec::new() };
        self.send(&mut dm, BOBS, "Between us:").await?;
        self.send(&mut dm, LAPTOP, "What is it?").await?;
        self.send(&mut dm, PHONE, "I am on my phone now.").await?;
        self.show
            .done("bob and alice write each other directly", "a group of two inboxes; alice has it on both devices")?;
        Ok(dm)
    }

    async fn crash(&mut self, group: &mut Talk) -> Result<(), Failure> {
        let before = self.clients[DAVES].call("info", json!({ "group": group.group })).await?;
        let rename = json!({ "group": group.group, "name": "Sub rosa" });
        let killed = self.clients[DAVES].killed_after_publishing("set_name", rename).await?;
        self.show.done(
            &format!("dave renames the group and dies (SIGKILL to process {killed})"),
            "the node has his commit, his database still has an intent \"published\": nobody told him the outcome",
        )?;
        group.inside.remove(&DAVES);
        self.send(group, BOBS, "Nice name, dave!").await?;
        if let Some((_, readers)) = group.sent.last_mut() {
            readers.insert(DAVES);
        }
        group.inside.insert(DAVES);
        let url = self.node.url();
        self.clients[DAVES].open(&url, &self.people).await?;
        self.sync(group).await?;
        let after = self.clients[DAVES].call("info", json!({ "group": group.group })).await?;
        if after["name"] != "Sub rosa" || after["epoch"].as_u64() != before["epoch"].as_u64().map(|epoch| epoch + 1) {
            return Err(Failure::new("dave's intent was not finished, or was applied twice"));
        }
        self.send(group, DAVES, "Back again.").await?;
        self.show.done(
            "dave starts again from disk, finishes his rename and writes",
            "he finds his own commit in the log by its hash and merges it, once: exactly one epoch later",
        )
    }

    async fn close(&mut self) -> Result<(), Failure> {
        let all = self.clients.iter_mut().map(|client| async {
            client.call("sync_all", json!({})).await?;
            client.close().await
        });
        try_join_all(all).await?;
        self.show.done("everybody reads what is left and ends", "all databases are closed")
    }

    async fn compare(
        &mut self,
        conversation: &'static str,
        talk: &Talk,
        name: &str,
        members: &[usize],
    ) -> Result<Agreement, Failure> {
        let was_inside = |index: usize| {
            talk.inside.contains(&index) || talk.sent.iter().any(|(_, readers)| readers.contains(&index))
        };
        let mut views = Vec::new();
        for index in (0..self.clients.len()).filter(|index| was_inside(*index)) {
            let client = &mut self.clients[index];
            client.close().await?;
            let inbox = client.reopen(&self.people).await?;
            let info = client.call("info", json!({ "group": talk.group })).await?;
            let seen = serde_json::from_value(info)
                .map_err(|error| Failure::new(format!("{} tells too little", client.name)).because(&error))?;
            let heard = talk.sent.iter().filter(|(_, readers)| readers.contains(&index));
            views.push(View {
                client: client.name.clone(),
                inbox,
                installation: client.installation.clone(),
                member: talk.inside.contains(&index),
                seen,
                right: false,
                expected: heard.map(|(text, _)| text.id.clone()).collect(),
            });
        }
        let truth = Truth {
            messages: talk.sent.iter().map(|(text, _)| text.clone()).collect(),
            roster: self.inboxes(members).into_iter().collect(),
            name: name.to_owned(),
        };
        self.show.done(
            &format!("the {} databases of the {conversation} are opened again", views.len()),
            "by new processes without a network: what follows is what the disks hold",
        )?;
        Ok(Agreement::new(conversation, talk.group.clone(), views, truth))
    }

    /// Sends a text; everybody who is in the conversation reads it.
    async fn send(&mut self, talk: &mut Talk, by: usize, words: &str) -> Result<(), Failure> {
        // A writer may not have heard of the conversation yet.
        self.clients[by].call("sync", json!({ "group": null })).await?;
        let sent = self.clients[by].call("send", json!({ "group": talk.group, "text": words })).await?;
        let sender = self.people[self.clients[by].person].inbox.clone();
        let message = Text { id: text(&sent, "message")?, sender, text: words.to_owned() };
        talk.sent.push((message, talk.inside.clone()));
        self.sync(talk).await
    }

    /// Everybody inside reads what is new.
    async fn sync(&mut self, talk: &Talk) -> Result<(), Failure> {
        let inside = self.clients.iter_mut().enumerate().filter(|(index, _)| talk.inside.contains(index));
        let fields = || json!({ "group": talk.group });
        try_join_all(inside.map(|(_, client)| client.call("sync", fields()))).await.map(|_: Vec<Value>| ())
    }

    fn inboxes(&self, people: &[usize]) -> Vec<String> {
        people.iter().map(|person| self.people[*person].inbox.clone()).collect()
    }
}
