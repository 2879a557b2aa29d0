//! A conversation between a person and a client.

use std::collections::BTreeSet;

use subrosa::{
    ChangeError, Client, Conversation, ConversationKind, GroupId, GroupOptions, Identifier, InboxId, ListOptions,
    LookupError, Message, MessageFilter, MessageId, MessageKind, MessageOrder, StreamOptions, SyncError,
};

use super::{
    command::{Command, HELP, Who},
    screen::People,
};
use crate::{
    failure::{Failure, causes},
    lines, output,
    printable::line,
    signals::Stop,
};

/// Messages shown when a conversation is opened.
const HISTORY: u32 = 20;

/// Ids of messages that are remembered at most.
const REMEMBERED: usize = 4096;

/// Why a command had no effect.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("no conversation is open; /list shows them, /dm and /new begin one")]
    NoneOpen,
    #[error("there is no such conversation; /list shows them")]
    NoSuch,
    #[error("{0} has no inbox: its owner has to start a client once")]
    NoInbox(String),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Sync(#[from] SyncError),
    #[error(transparent)]
    Lookup(#[from] LookupError),
    #[error("the screen is gone")]
    Screen,
}

impl From<Failure> for Refused {
    fn from(_: Failure) -> Self {
        Self::Screen
    }
}

/// What to open first.
pub(super) enum First {
    Nothing,
    With(Vec<Who>),
    Group(GroupId),
}

/// One person's view.
pub(super) struct Session {
    client: Client,
    address: String,
    people: People,
    open: Option<Conversation>,
    /// Numbered from 1 as they were seen.
    known: Vec<GroupId>,
    /// Conversations that were announced, or were there before.
    announced: BTreeSet<GroupId>,
    /// Messages shown lately: opening a conversation shows some that are still on their way here.
    shown: BTreeSet<MessageId>,
}

impl Session {
    pub(super) fn new(client: Client, address: String) -> Self {
        let people = People::new(client.inbox_id());
        let (announced, shown) = (BTreeSet::new(), BTreeSet::new());
        Self { client, address, people, open: None, known: Vec::new(), announced, shown }
    }

    /// Talks until the input ends, `/quit` or a signal.
    pub(super) async fn run(&mut self, first: First, stop: &mut Stop) -> Result<(), Failure> {
        let broken = |error: SyncError| Failure::new("nothing can be received").because(&error);
        let mut messages = self.client.conversations().stream_messages(StreamOptions::default()).map_err(broken)?;
        let mut conversations = self.client.conversations().stream(None).map_err(broken)?;
        let mut lines = lines::read();
        self.introduce()?;
        let begun = self.begin(first).await;
        self.report(begun)?;
        loop {
            let done = tokio::select! {
                () = stop.wait() => return Ok(()),
                Some(message) = messages.next() => self.incoming(&message).await,
                Some(conversation) = conversations.next() => self.invited(conversation).await,
                typed = lines.recv() => match typed.as_deref().map(|line| Command::parse(line)) {
                    None | Some(Ok(Command::Quit)) => return Ok(()),
                    Some(Ok(command)) => self.perform(command).await,
                    Some(Err(unclear)) => self.say(&format!("! {unclear}")).map_err(Refused::from),
                },
                else => return Ok(()),
            };
            self.report(done)?;
        }
    }

    fn say(&self, text: &str) -> Result<(), Failure> {
        output::print(&format!("{text}\n"))
    }

    fn introduce(&self) -> Result<(), Failure> {
        self.say(&format!("you are {}", self.address))?;
        self.say(&format!("inbox   {}", self.client.inbox_id()))?;
        self.say("/help shows what you can do")
    }

    /// Tells why something had no effect, and goes on.
    fn report(&self, done: Result<(), Refused>) -> Result<(), Failure> {
        match done {
            Ok(()) => Ok(()),
            Err(Refused::Screen) => Err(Failure::new("the screen is gone")),
            Err(Refused::Change(error @ ChangeError::NotConfirmed { .. })) => {
                self.say(&format!("! {}; it is kept and goes out with the next sync", reason(&error)))
            }
            Err(error) => self.say(&format!("! {}", reason(&error))),
        }
    }

    async fn begin(&mut self, first: First) -> Result<(), Refused> {
        self.client.conversations().sync_all().await?;
        let present = self.client.conversations().list(&ListOptions::default())?;
        self.announced.extend(present.iter().map(|conversation| conversation.id().clone()));
        match first {
            First::Nothing => self.list().await,
            First::Group(id) => self.open(&id).await,
            First::With(mut who) => match who.pop() {
                None => self.list().await,
                Some(one) if who.is_empty() => self.perform(Command::Dm(one)).await,
                Some(last) => {
                    who.push(last);
                    self.perform(Command::New { name: String::new(), who }).await
                }
            },
        }
    }

    async fn perform(&mut self, command: Command) -> Result<(), Refused> {
        match command {
            Command::Nothing | Command::Quit => Ok(()),
            Command::Help => Ok(self.say(HELP)?),
            Command::Me => Ok(self.introduce()?),
            Command::List => self.list().await,
            Command::Open(text) => {
                let number = text.parse::<usize>().ok().and_then(|number| self.known.get(number.checked_sub(1)?));
                let id = number.cloned().or_else(|| text.parse().ok()).ok_or(Refused::NoSuch)?;
                self.open(&id).await
            }
            Command::Say(text) => {
                self.opened()?.send_text(text).await?;
                Ok(())
            }
            Command::Dm(who) => {
                let inbox = self.inboxes(vec![who]).await?;
                let Some(inbox) = inbox.first() else { return Ok(()) };
                let dm = self.client.conversations().dm(*inbox).await?;
                self.open(dm.id()).await
            }
            Command::New { name, who } => {
                let inboxes = self.inboxes(who).await?;
                let group = self.client.conversations().create_group(&inboxes, GroupOptions::named(name)).await?;
                self.open(group.id()).await
            }
            Command::Add(who) => {
                let inboxes = self.inboxes(who).await?;
                Ok(self.opened()?.add_members(&inboxes).await?)
            }
            Command::Remove(who) => {
                let inboxes = self.inboxes(who).await?;
                Ok(self.opened()?.remove_members(&inboxes).await?)
            }
            Command::Members => self.members().await,
            Command::Name(name) => Ok(self.opened()?.set_name(&name).await?),
        }
    }

    fn opened(&self) -> Result<&Conversation, Refused> {
        self.open.as_ref().ok_or(Refused::NoneOpen)
    }

    /// The number of a conversation on this screen.
    fn number(&mut self, id: &GroupId) -> usize {
        let known = self.known.iter().position(|known| known == id);
        known.unwrap_or_else(|| {
            self.known.push(id.clone());
            self.known.len() - 1
        }) + 1
    }

    async fn list(&mut self) -> Result<(), Refused> {
        let conversations = self.client.conversations().list(&ListOptions::default())?;
        if conversations.is_empty() {
            self.say("no conversations yet; /dm WHO or /new NAME WHO... begins one")?;
        }
        for conversation in conversations {
            self.people.learn(&conversation).await?;
            self.announced.insert(conversation.id().clone());
            let number = self.number(conversation.id());
            let mark = if self.open.as_ref().is_some_and(|open| open.id() == conversation.id()) { '*' } else { ' ' };
            self.say(&format!("{mark}{number:3}  {}", self.people.title(&conversation)?))?;
        }
        Ok(())
    }

    async fn open(&mut self, id: &GroupId) -> Result<(), Refused> {
        let conversation = self.client.conversations().get(id)?.ok_or(Refused::NoSuch)?;
        self.people.learn(&conversation).await?;
        let number = self.number(conversation.id());
        self.say(&format!("--- {number} {} ({})", self.people.title(&conversation)?, conversation.id()))?;
        let mut filter = MessageFilter::default();
        filter.limit = Some(HISTORY);
        filter.order = MessageOrder::Descending;
        for message in conversation.messages(filter).await?.iter().rev() {
            if let Some(text) = self.people.message(message) {
                self.say(&text)?;
                self.remember(message.id);
            }
        }
        self.announced.insert(conversation.id().clone());
        self.open = Some(conversation);
        Ok(())
    }

    fn remember(&mut self, message: MessageId) {
        if self.shown.len() > REMEMBERED {
            self.shown.clear();
        }
        self.shown.insert(message);
    }

    async fn members(&self) -> Result<(), Refused> {
        for member in self.opened()?.members().await? {
            let identifiers: Vec<String> = member.identifiers.iter().map(|known| line(&known.text())).collect();
            let devices = member.installations.len();
            let who = self.people.name(&member.inbox);
            self.say(&format!(
                "  {who:13} {:?}, {devices} installations\n    address {}\n    inbox   {}",
                member.level,
                identifiers.join(" "),
                member.inbox
            ))?;
        }
        Ok(())
    }

    /// A message from the network, our own ones of other devices too.
    async fn incoming(&mut self, message: &Message) -> Result<(), Refused> {
        let own = message.installation == self.client.installation_id();
        if own && message.kind == MessageKind::Application {
            return Ok(());
        }
        let Some(conversation) = self.client.conversations().get(&message.group)? else { return Ok(()) };
        if !self.announced.contains(conversation.id()) {
            // The message was faster than the conversation; opening shows it.
            self.invited(conversation.clone()).await?;
        }
        if self.shown.contains(&message.id) {
            return Ok(());
        }
        if !self.people.knows(&message.sender) {
            self.people.learn(&conversation).await?;
        }
        let Some(text) = self.people.message(message) else { return Ok(()) };
        if self.open.as_ref().is_some_and(|open| open.id() == conversation.id()) {
            return Ok(self.say(&text)?);
        }
        let number = self.number(conversation.id());
        Ok(self.say(&format!("[{number} {}] {text}", self.people.title(&conversation)?))?)
    }

    /// A conversation we are new in. The first one is opened.
    async fn invited(&mut self, conversation: Conversation) -> Result<(), Refused> {
        if !self.announced.insert(conversation.id().clone()) {
            return Ok(());
        }
        self.people.learn(&conversation).await?;
        let number = self.number(conversation.id());
        let what =
            if conversation.kind()? == ConversationKind::Dm { "writes to you" } else { "has you as a member now" };
        self.say(&format!("* {} {what}: /open {number}", self.people.title(&conversation)?))?;
        if self.open.is_none() { self.open(conversation.id()).await } else { Ok(()) }
    }

    /// The inboxes of these people, all of them.
    async fn inboxes(&self, who: Vec<Who>) -> Result<Vec<InboxId>, Refused> {
        let mut inboxes = Vec::with_capacity(who.len());
        for one in who {
            inboxes.push(match one {
                Who::Inbox(inbox) => inbox,
                Who::Identifier(identifier) => self.inbox_of(&identifier).await?,
            });
        }
        Ok(inboxes)
    }

    async fn inbox_of(&self, identifier: &Identifier) -> Result<InboxId, Refused> {
        self.client.inbox_id_of(identifier).await?.ok_or_else(|| Refused::NoInbox(identifier.text()))
    }

    /// Closes the database.
    pub(super) async fn close(self) {
        self.client.close().await;
    }
}

/// An error and its causes in one line.
fn reason(error: &dyn std::error::Error) -> String {
    line(&causes(error).join(": "))
}
