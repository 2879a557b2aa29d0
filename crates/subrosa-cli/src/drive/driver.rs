//! The driven client.

use std::{
    fmt,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde_json::{Value, json};
use subrosa::{
    AdminChange, Client, Clock, Conversation, ConversationKind, DatabaseKey, Encryption, GroupId, GroupOptions,
    InboxId, ListOptions, Location, Message, MessageFilter, MessageKind, Opening, SystemClock, UnixNanos, WalletKey,
    content::{Content, EncodedContent},
};
use subrosa_transport::GrpcNetwork;
use subrosa_types::hex;

use super::{
    gate::{self, Closing},
    identity::{self, Unsigned},
    request::{Create, Id, Members, Of, Operation, Role},
};
use crate::{failure::causes, output};

/// Why a request has no answer.
#[derive(Debug)]
pub(super) enum Refused {
    /// `create` comes first, and once.
    Order,
    /// There is no such conversation.
    Unknown,
    /// The client refused or failed; the error and its causes.
    Client(Vec<String>),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order => f.write_str("create comes first, and once"),
            Self::Unknown => f.write_str("there is no such conversation here"),
            Self::Client(causes) => f.write_str(&causes.join(": ")),
        }
    }
}

impl<E: std::error::Error> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Client(causes(&error))
    }
}

pub(super) type Answer = Result<Value, Refused>;

/// Holds one client.
pub(super) struct Driver {
    client: OnceLock<Client>,
    closing: Arc<Closing>,
    pub(super) unsigned: Mutex<Option<Unsigned>>,
}

/// The clock of this machine, put forward.
struct Ahead(Duration);

impl Clock for Ahead {
    fn now(&self) -> UnixNanos {
        SystemClock.now().plus(self.0)
    }
}

impl Driver {
    /// No client yet.
    pub(super) fn new() -> Self {
        let closing = Closing::new(|point| {
            // Whoever reads this kills us next; that nobody reads is no matter of ours.
            let _ = output::print(&format!("{}\n", json!({ "halted": point })));
        });
        Self { client: OnceLock::new(), closing, unsigned: Mutex::default() }
    }

    /// Does one operation.
    pub(super) async fn perform(&self, operation: Operation) -> Answer {
        match operation {
            Operation::Create(how) => self.create(how).await,
            Operation::CreateGroup { inboxes, name } => {
                let options = GroupOptions::named(name.unwrap_or_default());
                let group = self.client()?.conversations().create_group(&bare(inboxes), options).await?;
                Ok(json!({ "group": group.id().to_hex() }))
            }
            Operation::CreateDm { inbox } => {
                let dm = self.client()?.conversations().dm(inbox.0).await?;
                Ok(json!({ "group": dm.id().to_hex() }))
            }
            Operation::Add(Members { group, inboxes }) => {
                done(self.conversation(&group)?.add_members(&bare(inboxes)).await?)
            }
            Operation::Remove(Members { group, inboxes }) => {
                done(self.conversation(&group)?.remove_members(&bare(inboxes)).await?)
            }
            Operation::SetName { group, name } => done(self.conversation(&group)?.set_name(&name).await?),
            Operation::AddAdmin(role) => self.change_admins(role, AdminChange::AddAdmin).await,
            Operation::RemoveAdmin(role) => self.change_admins(role, AdminChange::RemoveAdmin).await,
            Operation::AddSuperAdmin(role) => self.change_admins(role, AdminChange::AddSuperAdmin).await,
            Operation::RemoveSuperAdmin(role) => self.change_admins(role, AdminChange::RemoveSuperAdmin).await,
            Operation::Send { group, text, queued } => self.send(&group, text, queued.unwrap_or(false)).await,
            Operation::Publish(Of { group }) => done(self.conversation(&group)?.publish().await?),
            Operation::Sync { group } => self.sync(group).await,
            Operation::SyncAll => self.sync_all().await,
            Operation::Texts(Of { group }) => {
                let texts = texts(&self.conversation(&group)?).await?;
                Ok(texts.into_iter().map(|(_, text)| text).collect())
            }
            Operation::Info(Of { group }) => info(&self.conversation(&group)?).await,
            Operation::List => self.list(),
            Operation::InboxState { inbox } => self.inbox_state(inbox.0).await,
            Operation::Change(change) => self.change(change).await,
            Operation::Sign(signature) => self.sign(signature).await,
            Operation::Apply => self.apply().await,
            Operation::CanMessage { names } => self.can_message(names).await,
            Operation::KeyPackages { inbox, installations } => self.key_packages(inbox.0, installations).await,
            Operation::SignText { text } => self.sign_text(&text),
            Operation::VerifyText { text, signature, installation } => {
                Ok(identity::verify_text(&text, &signature, &installation.0))
            }
            Operation::RunDue => done(self.client()?.run_due().await?),
            Operation::HaltAfter { point } => {
                self.closing.at(point);
                Ok(Value::Null)
            }
            Operation::Exit => Ok(Value::Null),
        }
    }

    /// Closes the database.
    pub(super) async fn close(self) {
        if let Some(client) = self.client.into_inner() {
            client.close().await;
        }
    }

    pub(super) fn client(&self) -> Result<&Client, Refused> {
        self.client.get().ok_or(Refused::Order)
    }

    fn conversation(&self, group: &Id<GroupId>) -> Result<Conversation, Refused> {
        self.client()?.conversations().get(&group.0)?.ok_or(Refused::Unknown)
    }

    async fn create(&self, how: Create) -> Answer {
        let network = Arc::new(gate::over(Arc::new(GrpcNetwork::connect_lazy(&how.node)?), &self.closing));
        let encryption = Encryption::Key(DatabaseKey::from_bytes(*how.db_key));
        let mut builder = Client::builder(network, Location::File(how.path), encryption)
            .clock(Arc::new(Ahead(Duration::from_secs(how.ahead.unwrap_or(0)))))
            .workers(how.workers.unwrap_or(true));
        if let Some(nonce) = how.new_inbox {
            builder = builder.new_inbox(nonce);
        }
        if let Some(key) = how.wallet_key {
            return self.opened(builder.open_with(&WalletKey::from_bytes(&key)?).await?);
        }
        if let Some(name) = &how.name {
            builder = builder.identifier(identity::identifier(name)?);
        }
        match builder.open().await? {
            Opening::Ready(client) => self.opened(client),
            Opening::New(registration) => Ok(self.unsigned(Unsigned::Registration(Box::new(registration)))),
        }
    }

    /// Keeps the client that was opened.
    pub(super) fn opened(&self, client: Client) -> Answer {
        let answer = json!({ "inbox": client.inbox_id().to_hex(), "installation": client.installation_id().to_hex() });
        self.client.set(client).map_err(|_| Refused::Order)?;
        Ok(answer)
    }

    async fn change_admins(&self, role: Role, change: AdminChange) -> Answer {
        done(self.conversation(&role.group)?.change_admins(change, role.inbox.0).await?)
    }

    async fn send(&self, group: &Id<GroupId>, text: String, queued: bool) -> Answer {
        let conversation = self.conversation(group)?;
        let message = if queued {
            let content = Content::Text(text);
            conversation.send_optimistic(&content.to_encoded(), content.push_default()).await?
        } else {
            conversation.send_text(text).await?
        };
        Ok(json!({ "message": message.to_hex() }))
    }

    async fn sync(&self, group: Option<Id<GroupId>>) -> Answer {
        self.client()?.conversations().sync().await?;
        if let Some(group) = group {
            self.conversation(&group)?.sync().await?;
        }
        Ok(Value::Null)
    }

    async fn sync_all(&self) -> Answer {
        let summary = self.client()?.conversations().sync_all().await?;
        if let Some(error) = summary.welcomes {
            return Err(error.into());
        }
        match summary.failed.into_iter().next() {
            Some((_, error)) => Err(error.into()),
            None => Ok(json!({ "eligible": summary.eligible, "synced": summary.synced })),
        }
    }

    fn list(&self) -> Answer {
        let conversations = self.client()?.conversations().list(&ListOptions::default())?;
        let one = |conversation: Conversation| -> Answer {
            let kind = if conversation.kind()? == ConversationKind::Dm { "dm" } else { "group" };
            Ok(json!({ "group": conversation.id().to_hex(), "kind": kind }))
        };
        conversations.into_iter().map(one).collect()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends an operation")]
pub(super) fn done((): ()) -> Answer {
    Ok(Value::Null)
}

fn bare(inboxes: Vec<Id<InboxId>>) -> Vec<InboxId> {
    inboxes.into_iter().map(|inbox| inbox.0).collect()
}

/// The text messages, oldest first.
async fn texts(conversation: &Conversation) -> Result<Vec<(Message, String)>, Refused> {
    let mut filter = MessageFilter::default();
    filter.kind = Some(MessageKind::Application);
    let messages = conversation.messages(filter).await?;
    let text = |message: Message| match Content::decode(&EncodedContent::from_bytes(&message.content).ok()?).ok()? {
        Content::Text(text) => Some((message, text)),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(text).collect())
}

/// What is stored of a conversation.
async fn info(conversation: &Conversation) -> Answer {
    let record = conversation.record()?;
    let messages: Vec<Value> = texts(conversation)
        .await?
        .into_iter()
        .map(|(message, text)| json!({ "id": message.id.to_hex(), "text": text, "sender": message.sender.to_hex() }))
        .collect();
    Ok(json!({
        "epoch": record.epoch.0,
        "authenticator": hex::encode(&record.authenticator),
        "members": record.members.keys().map(InboxId::to_hex).collect::<Vec<_>>(),
        "name": conversation.name()?,
        "admins": conversation.admins()?.iter().map(InboxId::to_hex).collect::<Vec<_>>(),
        "super_admins": conversation.super_admins()?.iter().map(InboxId::to_hex).collect::<Vec<_>>(),
        "active": record.active,
        "messages": messages,
    }))
}
