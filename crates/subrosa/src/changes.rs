//! Everything that changes a conversation: each change is an intent, queued first and then waited for (sync §2.5).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use subrosa_content::{EncodedContent, PlaintextEnvelope, message_id};
use subrosa_group::{
    Directory,
    context::{PolicySet, attribute},
    group::{NewGroup, NewKind},
};
use subrosa_intent::IntentState;
use subrosa_sync::{
    AdminChange, Change, Consent, ConsentState, Conversation, ConversationKind, Delivery, Durability, Event,
    IntentData, IntentId, MembershipUpdate, Message, MessageKind, NewIntent,
};
use subrosa_types::{GroupId, InboxId, InstallationId, MessageId, UnixNanos};

use crate::{
    error::{ChangeError, SyncError},
    inner::Inner,
};

/// States in which something is still to happen.
pub(crate) const OUTSTANDING: [IntentState; 3] =
    [IntentState::ToPublish, IntentState::Published, IntentState::Committed];

/// Our leaf is renewed before a message when it is older than this (sync §1).
const ROTATION: Duration = Duration::from_secs(30 * 24 * 3600);
/// Installations are compared with the tree before sending when that was longer ago than this (sync §2.14).
pub(crate) const CHECK_BEFORE_SEND: Duration = Duration::from_secs(5);
/// The same after syncing.
pub(crate) const CHECK_AFTER_SYNC: Duration = Duration::from_secs(30 * 60);

/// What a new group starts with. Every text has the limit of its attribute (client §3.1).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GroupOptions {
    /// Name, at most 100 bytes.
    pub name: String,
    /// Description, at most 1000 bytes.
    pub description: String,
    /// Address of a square image, at most 2048 bytes.
    pub image_url: String,
    /// Free for the application, at most 8192 bytes.
    pub app_data: String,
    /// Who may do what; by default every member may add members and change texts.
    pub policies: Option<PolicySet>,
}

impl GroupOptions {
    /// Options with this name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn attributes(self) -> Result<(BTreeMap<String, String>, Option<PolicySet>), ChangeError> {
        let Self { name, description, image_url, app_data, policies } = self;
        let attributes: BTreeMap<String, String> = [
            (attribute::NAME, name),
            (attribute::DESCRIPTION, description),
            (attribute::IMAGE_URL, image_url),
            (attribute::APP_DATA, app_data),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
        for (key, value) in &attributes {
            check_length(key, value)?;
        }
        Ok((attributes, policies))
    }
}

fn check_length(key: &str, value: &str) -> Result<(), ChangeError> {
    match attribute::limit(key) {
        Some(limit) if value.len() > limit => Err(ChangeError::TooLong { limit, size: value.len() }),
        _ => Ok(()),
    }
}

impl Inner {
    /// Creates a group here, at epoch 0. Nothing is sent.
    pub(crate) async fn create_group(&self, options: GroupOptions) -> Result<GroupId, ChangeError> {
        let (attributes, policies) = options.attributes()?;
        let policies = policies.unwrap_or_else(PolicySet::all_members);
        self.create(NewGroup { kind: NewKind::Group(policies), attributes }).await
    }

    /// Creates a direct message here, at epoch 0. Nothing is sent.
    pub(crate) async fn create_dm(&self, peer: InboxId) -> Result<GroupId, ChangeError> {
        self.create(NewGroup { kind: NewKind::Dm(peer), attributes: BTreeMap::new() }).await
    }

    async fn create(&self, new: NewGroup) -> Result<GroupId, ChangeError> {
        let mut machine = subrosa_sync::create(Arc::clone(&self.me), new, &self.random, self.now())?;
        let id = machine.record().id.clone();
        let step = machine.take_step(Durability::Process).map_err(SyncError::from)?;
        self.store.apply(step.changes, step.durability).await?;
        self.groups.insert(&id, machine);
        self.emit(step.events);
        Ok(id)
    }

    /// Adds inboxes, and brings the tree up to date with the installations of all members (groups §4.3). Inboxes
    /// that are members already are brought up to date too.
    pub(crate) async fn add_members(self: &Arc<Self>, group: &GroupId, add: &[InboxId]) -> Result<(), ChangeError> {
        let record = self.changeable(group)?;
        let inboxes: Vec<InboxId> =
            record.members.keys().chain(add).copied().collect::<BTreeSet<_>>().into_iter().collect();
        let directory = self.identities.refresh(&inboxes).await?;
        let unknown: Vec<String> = add
            .iter()
            .filter(|inbox| directory.log(inbox).is_none_or(|log| log.latest().is_err()))
            .map(InboxId::to_hex)
            .collect();
        if !unknown.is_empty() {
            return Err(ChangeError::UnknownInbox(unknown));
        }
        let update = behind(&record, &inboxes, &directory);
        if update.is_empty() {
            return Ok(());
        }
        self.prefetch(group, &record, add, &directory).await?;
        let intent = self.queue(group, IntentData::Membership(update), false, None).await?;
        self.wait_for(group, intent).await
    }

    /// Fetches the key packages of inboxes to be added, so that an addition nobody could join fails before anything
    /// is published; the good ones are kept for building.
    async fn prefetch(
        &self,
        group: &GroupId,
        record: &Conversation,
        add: &[InboxId],
        directory: &Directory,
    ) -> Result<(), ChangeError> {
        let own = self.me.key.id();
        let wanted: BTreeMap<InstallationId, InboxId> = add
            .iter()
            .filter(|inbox| !record.members.contains_key(inbox))
            .filter_map(|inbox| Some((*inbox, directory.log(inbox)?.latest().ok()?)))
            .flat_map(|(inbox, state)| state.installations().map(|one| (one, inbox)).collect::<Vec<_>>())
            .filter(|(installation, _)| *installation != own)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let installations: Vec<InstallationId> = wanted.keys().copied().collect();
        let mut packages = self.fetch_key_packages(&installations).await?;
        packages.retain(|id, package| {
            package.as_ref().zip(wanted.get(id)).is_some_and(|(package, inbox)| package.is_of(id, inbox))
        });
        if packages.is_empty() {
            return Err(ChangeError::NoUsableKeyPackage);
        }
        let slot = self.groups.slot(group);
        let mut state = slot.state.lock().await;
        state.key_packages.extend(packages.into_iter().filter_map(|(id, package)| Some((id, package?))));
        Ok(())
    }

    /// Removes inboxes. Our own is left alone: leaving is something else (client §3.3).
    pub(crate) async fn remove_members(
        self: &Arc<Self>,
        group: &GroupId,
        remove: &[InboxId],
    ) -> Result<(), ChangeError> {
        let record = self.changeable(group)?;
        let removed: BTreeSet<InboxId> = remove
            .iter()
            .filter(|inbox| **inbox != self.me.inbox && record.members.contains_key(inbox))
            .copied()
            .collect();
        if removed.is_empty() {
            return Ok(());
        }
        let update = MembershipUpdate { removed, ..MembershipUpdate::default() };
        let intent = self.queue(group, IntentData::Membership(update), false, None).await?;
        self.wait_for(group, intent).await
    }

    /// Sets one attribute of a group (groups §4.5).
    pub(crate) async fn set_attribute(
        self: &Arc<Self>,
        group: &GroupId,
        key: &str,
        value: &str,
    ) -> Result<(), ChangeError> {
        let record = self.changeable(group)?;
        let disappearing = key == attribute::DISAPPEAR_FROM || key == attribute::DISAPPEAR_IN;
        if record.kind == ConversationKind::Dm && !disappearing {
            return Err(ChangeError::NotInDm);
        }
        check_length(key, value)?;
        let data = IntentData::Metadata { key: key.to_owned(), value: value.to_owned() };
        let intent = self.queue(group, data, false, None).await?;
        self.wait_for(group, intent).await
    }

    /// Changes a list of admins (groups §4.5).
    pub(crate) async fn change_admins(
        self: &Arc<Self>,
        group: &GroupId,
        change: AdminChange,
        inbox: InboxId,
    ) -> Result<(), ChangeError> {
        if self.changeable(group)?.kind == ConversationKind::Dm {
            return Err(ChangeError::NotInDm);
        }
        let intent = self.queue(group, IntentData::Admins { change, inbox }, false, None).await?;
        self.wait_for(group, intent).await
    }

    /// Renews our own leaf keys.
    pub(crate) async fn update_key(self: &Arc<Self>, group: &GroupId) -> Result<(), ChangeError> {
        self.changeable(group)?;
        let intent = self.queue(group, IntentData::KeyUpdate, false, None).await?;
        self.wait_for(group, intent).await
    }

    /// Sends a content and waits until it was read back (sync §2.5).
    pub(crate) async fn send(
        self: &Arc<Self>,
        group: &GroupId,
        content: &EncodedContent,
        should_push: bool,
    ) -> Result<MessageId, ChangeError> {
        self.changeable(group)?;
        self.update_installations(group, CHECK_BEFORE_SEND).await?;
        let (message, intent) = self.queue_message(group, content, should_push).await?;
        self.wait_for(group, intent).await?;
        self.allow(group).await?;
        Ok(message)
    }

    /// Queues a content; it goes out with the next cycle of the group. No network.
    pub(crate) async fn queue_message(
        &self,
        group: &GroupId,
        content: &EncodedContent,
        should_push: bool,
    ) -> Result<(MessageId, IntentId), ChangeError> {
        let now = self.unique_now();
        let content = content.to_bytes();
        let key = now.to_wire().to_string();
        let id = message_id(group, &key, &content);
        let plaintext = PlaintextEnvelope::V1 { content: content.clone(), idempotency_key: key }.to_bytes();
        let message = Message {
            id,
            group: group.clone(),
            sent_at: now,
            kind: MessageKind::Application,
            sender: self.me.inbox,
            installation: self.me.key.id(),
            delivery: Delivery::Unpublished,
            content,
            position: None,
            expires_at: None,
            inserted_at: now,
        };
        let intent = self.queue(group, IntentData::SendMessage(plaintext), should_push, Some(message)).await?;
        Ok((id, intent))
    }

    /// Publishes what is queued, and waits for the newest intent.
    pub(crate) async fn publish_queued(self: &Arc<Self>, group: &GroupId) -> Result<(), ChangeError> {
        self.changeable(group)?;
        self.update_installations(group, CHECK_BEFORE_SEND).await?;
        let newest = self.store.intents(group, &OUTSTANDING)?.into_iter().map(|intent| intent.id).max();
        if let Some(intent) = newest {
            self.wait_for(group, intent).await?;
        }
        self.allow(group).await
    }

    /// Records that the user wants this conversation; sending says so.
    async fn allow(&self, group: &GroupId) -> Result<(), ChangeError> {
        if self.store.consent(group)?.is_some_and(|consent| consent.state == ConsentState::Allowed) {
            return Ok(());
        }
        let consent = Consent { group: group.clone(), state: ConsentState::Allowed, at: self.now() };
        self.store.apply(vec![Change::Consent(consent)], Durability::Process).await?;
        Ok(())
    }

    /// Adds installations that members registered since, and removes those they revoked (sync §2.14).
    pub(crate) async fn update_installations(
        self: &Arc<Self>,
        group: &GroupId,
        interval: Duration,
    ) -> Result<(), ChangeError> {
        let Some(record) = self.store.conversation(group)? else {
            return Err(ChangeError::UnknownConversation(group.clone()));
        };
        let now = self.now();
        let due = now.since(record.installations_checked) > interval;
        if !record.kind.is_shown() || !record.active || record.paused_for.is_some() || !due {
            return Ok(());
        }
        let inboxes: Vec<InboxId> = record.members.keys().copied().collect();
        let directory = self.identities.refresh(&inboxes).await?;
        let update = behind(&record, &inboxes, &directory);
        if !update.is_empty() {
            let intent = self.queue(group, IntentData::Membership(update), false, None).await?;
            self.wait_for(group, intent).await?;
        }
        let checked = Change::Times { group: group.clone(), rotated_at: None, installations_checked: Some(now) };
        self.store.apply(vec![checked], Durability::Process).await?;
        Ok(())
    }

    /// Queues an intent with its message, preceded by a key update when our leaf is old, in one transaction
    /// (sync §2.4).
    pub(crate) async fn queue(
        &self,
        group: &GroupId,
        data: IntentData,
        should_push: bool,
        message: Option<Message>,
    ) -> Result<IntentId, ChangeError> {
        let _one_at_a_time = self.queueing.lock().await;
        let record = self.changeable(group)?;
        let now = self.now();
        let new = |data: &IntentData, should_push, message| {
            Change::NewIntent(NewIntent {
                group: group.clone(),
                kind: data.kind(),
                data: data.to_bytes(),
                should_push,
                message,
            })
        };
        let mut changes = Vec::new();
        let sends = matches!(data, IntentData::SendMessage(_));
        let rotates = sends && now.since(record.rotated_at) > ROTATION;
        if rotates {
            changes.push(new(&IntentData::KeyUpdate, false, None));
        }
        if let Some(message) = &message {
            changes.push(Change::Message(Box::new(message.clone())));
        }
        changes.push(new(&data, should_push, message.as_ref().map(|message| message.id)));
        if rotates || !sends {
            changes.push(Change::Times { group: group.clone(), rotated_at: Some(now), installations_checked: None });
        }
        let applied = self.store.apply(changes, Durability::Process).await?;
        if let Some(message) = message {
            self.emit(vec![Event::Message(Box::new(message))]);
        }
        applied.intents.last().copied().ok_or(ChangeError::UnknownConversation(group.clone()))
    }

    /// The record of a conversation that takes changes.
    fn changeable(&self, group: &GroupId) -> Result<Conversation, ChangeError> {
        let record = self.store.conversation(group)?.ok_or_else(|| ChangeError::UnknownConversation(group.clone()))?;
        if !record.active {
            return Err(ChangeError::Inactive);
        }
        if let Some(needs) = record.paused_for {
            return Err(ChangeError::Paused { needs });
        }
        Ok(record)
    }

    /// The time now, later than any time this returned before: it names a message.
    fn unique_now(&self) -> UnixNanos {
        let mut last = self.last_key.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = self.now().max(last.plus(Duration::from_nanos(1)));
        *last = now;
        now
    }
}

/// What brings the membership up to date with the logs of these inboxes.
fn behind(record: &Conversation, inboxes: &[InboxId], directory: &Directory) -> MembershipUpdate {
    let updates = inboxes
        .iter()
        .filter_map(|inbox| {
            let newest = directory.log(inbox)?.last_sequence();
            let known = record.members.get(inbox);
            known.is_none_or(|known| *known < newest).then_some((*inbox, newest))
        })
        .collect();
    MembershipUpdate { updates, ..MembershipUpdate::default() }
}
