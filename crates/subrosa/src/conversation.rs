//! One conversation: a group or a direct message.

use std::{fmt, sync::Arc, time::Duration};

use subrosa_content::{Content, EncodedContent};
use subrosa_group::context::{PolicySet, attribute};
use subrosa_identity::Identifier;
use subrosa_store::{MessageOrder, MessageQuery};
use subrosa_sync::{
    AdminChange, Change, Consent, ConsentState, Conversation as Record, ConversationKind, Delivery, Durability, Held,
    Message, MessageKind,
};
use subrosa_types::{Cursor, Epoch, GroupId, InboxId, InstallationId, MessageId, Topic, UnixNanos};

use crate::{
    changes::CHECK_AFTER_SYNC,
    conversations::MAX_MEMBERS,
    error::{ChangeError, SyncError},
    inner::Inner,
    streams::{MessageStream, Scope},
};

/// One conversation. Clones and other handles of the same group share everything; reading needs no network.
#[derive(Clone)]
pub struct Conversation {
    pub(crate) inner: Arc<Inner>,
    pub(crate) id: GroupId,
}

/// What a member may do (client §3.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the roles are the protocol's")]
pub enum PermissionLevel {
    /// A member.
    Member,
    /// An admin.
    Admin,
    /// A super admin: passes every check of an admin.
    SuperAdmin,
}

/// A member of a conversation.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Member {
    /// The inbox.
    pub inbox: InboxId,
    /// What it may do.
    pub level: PermissionLevel,
    /// Its identifiers, as far as the group has followed its identity log; empty if the log is not known here.
    pub identifiers: Vec<Identifier>,
    /// Its installations, likewise.
    pub installations: Vec<InstallationId>,
}

/// Which messages of a conversation, and how sorted. Of a direct message, all with the same inbox are searched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct MessageFilter {
    /// Sent later than this.
    pub after: Option<UnixNanos>,
    /// Sent earlier than this.
    pub before: Option<UnixNanos>,
    /// At most so many; the order says from which end.
    pub limit: Option<u32>,
    /// Oldest first by default.
    pub order: MessageOrder,
    /// Only of this kind.
    pub kind: Option<MessageKind>,
    /// Only with this delivery.
    pub delivery: Option<Delivery>,
}

/// What is worth telling when something is wrong (client §13).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DebugInfo {
    /// MLS epoch.
    pub epoch: Epoch,
    /// Equal for all members of the epoch who have not forked.
    pub authenticator: Vec<u8>,
    /// The last item processed of each originator.
    pub cursors: Vec<Cursor>,
    /// A message of a later epoch was seen.
    pub maybe_forked: bool,
    /// Why nothing moves, if nothing does.
    pub held: Option<Held>,
    /// Intents that have not ended yet.
    pub outstanding: usize,
}

impl Conversation {
    /// The group's id.
    #[must_use]
    pub const fn id(&self) -> &GroupId {
        &self.id
    }

    /// Everything that is known of the conversation, in one read.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn record(&self) -> Result<Record, SyncError> {
        self.inner.store.conversation(&self.id)?.ok_or(SyncError::UnknownConversation)
    }

    /// Group or direct message.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn kind(&self) -> Result<ConversationKind, SyncError> {
        Ok(self.record()?.kind)
    }

    /// The other inbox of a direct message.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn dm_peer(&self) -> Result<Option<InboxId>, SyncError> {
        Ok(self.record()?.dm_peer)
    }

    /// Whether we are in it: false after our removal.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn is_active(&self) -> Result<bool, SyncError> {
        Ok(self.record()?.active)
    }

    /// Its name; empty if it has none.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn name(&self) -> Result<String, SyncError> {
        self.attribute(attribute::NAME)
    }

    /// Its description; empty if it has none.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn description(&self) -> Result<String, SyncError> {
        self.attribute(attribute::DESCRIPTION)
    }

    /// One metadata attribute (groups §2.3); empty if it has none.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn attribute(&self, key: &str) -> Result<String, SyncError> {
        Ok(self.record()?.attributes.remove(key).unwrap_or_default())
    }

    /// Who may do what; `None` if the group's policies cannot be read.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn policies(&self) -> Result<Option<PolicySet>, SyncError> {
        Ok(PolicySet::from_bytes(&self.record()?.permissions).ok())
    }

    /// Admins, without super admins.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn admins(&self) -> Result<Vec<InboxId>, SyncError> {
        Ok(inboxes(&self.record()?.admins))
    }

    /// Super admins.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn super_admins(&self) -> Result<Vec<InboxId>, SyncError> {
        Ok(inboxes(&self.record()?.super_admins))
    }

    /// The members (client §3.3), from what is known here.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub async fn members(&self) -> Result<Vec<Member>, SyncError> {
        let record = self.record()?;
        let members: Vec<_> = record.members.iter().map(|(inbox, at)| (*inbox, *at)).collect();
        let directory = self.inner.identities.members(&members).await;
        let member = |(inbox, at): (InboxId, _)| {
            let state = directory.log(&inbox).and_then(|log| log.state_at(at).or_else(|_| log.latest()).ok());
            Member {
                inbox,
                level: level(&record, &inbox),
                identifiers: state.as_ref().map(|state| state.identifiers()).unwrap_or_default(),
                installations: state.as_ref().map(|state| state.installations().collect()).unwrap_or_default(),
            }
        };
        Ok(members.into_iter().map(member).collect())
    }

    /// What the user decided about it.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn consent(&self) -> Result<ConsentState, SyncError> {
        Ok(self.inner.store.consent(&self.id)?.map_or(ConsentState::Unknown, |consent| consent.state))
    }

    /// Records what the user decided; for a direct message, about all with the same inbox.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub async fn set_consent(&self, state: ConsentState) -> Result<(), SyncError> {
        let at = self.inner.now();
        let groups = self.inner.store.siblings(&self.id)?;
        let changes = groups.into_iter().map(|group| Change::Consent(Consent { group, state, at })).collect();
        self.inner.store.apply(changes, Durability::Process).await?;
        Ok(())
    }

    /// The messages, those that have disappeared left out.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub async fn messages(&self, filter: MessageFilter) -> Result<Vec<Message>, SyncError> {
        let query = self.query(filter)?;
        Ok(self.inner.store.run(move |store| store.messages(&query)).await?)
    }

    /// How many messages there are; limit and order do not matter.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub async fn count_messages(&self, filter: MessageFilter) -> Result<u64, SyncError> {
        let query = self.query(filter)?;
        Ok(self.inner.store.run(move |store| store.count_messages(&query)).await?)
    }

    /// The topic that push servers know it by (client §11).
    #[must_use]
    pub fn topic(&self) -> String {
        Topic::Group(self.id.clone()).to_text().unwrap_or_default()
    }

    /// What is worth telling when something is wrong.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn debug_info(&self) -> Result<DebugInfo, SyncError> {
        let record = self.record()?;
        let cursors = self.inner.store.cursors_of_groups(std::slice::from_ref(&self.id))?.remove(&self.id);
        Ok(DebugInfo {
            epoch: record.epoch,
            authenticator: record.authenticator,
            cursors: cursors.unwrap_or_default(),
            maybe_forked: record.maybe_forked,
            held: record.held,
            outstanding: self.inner.store.intents(&self.id, &crate::changes::OUTSTANDING)?.len(),
        })
    }

    /// Publishes what is queued and reads what is new; for a direct message, of all with the same inbox (sync §2.8).
    ///
    /// # Errors
    /// [`SyncError`]. That something could not be sent is no error: it stays queued.
    pub async fn sync(&self) -> Result<(), SyncError> {
        for sibling in self.inner.store.siblings(&self.id)? {
            if sibling != self.id
                && let Err(error) = self.inner.sync_and_update(&sibling, CHECK_AFTER_SYNC).await
            {
                tracing::warn!(group = ?sibling, %error, "another direct message with the same inbox did not sync");
            }
        }
        self.inner.sync_and_update(&self.id, CHECK_AFTER_SYNC).await
    }

    /// Sends a text and waits until it is in the group's log.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn send_text(&self, text: impl Into<String>) -> Result<MessageId, ChangeError> {
        self.send(&Content::Text(text.into())).await
    }

    /// Sends a content and waits until it is in the group's log. Its type says whether others are notified.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn send(&self, content: &Content) -> Result<MessageId, ChangeError> {
        self.send_encoded(&content.to_encoded(), content.push_default()).await
    }

    /// Sends a content of any type and waits until it is in the group's log. `should_push` is the hint for push
    /// servers (client §11).
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn send_encoded(&self, content: &EncodedContent, should_push: bool) -> Result<MessageId, ChangeError> {
        self.inner.send(&self.id, content, should_push).await
    }

    /// Stores a text and queues it, as [`Conversation::send_optimistic`].
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn queue_text(&self, text: impl Into<String>) -> Result<MessageId, ChangeError> {
        let content = Content::Text(text.into());
        self.send_optimistic(&content.to_encoded(), content.push_default()).await
    }

    /// Adds installations that members registered since, and removes those they revoked (sync §2.14). Sending and
    /// syncing do so by themselves from time to time.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn update_installations(&self) -> Result<(), ChangeError> {
        self.inner.update_installations(&self.id, Duration::ZERO).await
    }

    /// Stores a content and queues it: it goes out with the next [`Conversation::publish`] or sync. No network.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn send_optimistic(&self, content: &EncodedContent, should_push: bool) -> Result<MessageId, ChangeError> {
        self.inner.queue_message(&self.id, content, should_push).await.map(|(message, _)| message)
    }

    /// Sends what is queued, and waits until it is in the group's log.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn publish(&self) -> Result<(), ChangeError> {
        self.inner.publish_queued(&self.id).await
    }

    /// Adds inboxes.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn add_members(&self, inboxes: &[InboxId]) -> Result<(), ChangeError> {
        self.refuse_in_dm()?;
        self.inner.add_members(&self.id, inboxes).await
    }

    /// Adds the inboxes these identifiers belong to.
    ///
    /// # Errors
    /// [`ChangeError`]; [`ChangeError::TooManyMembers`] if there would be more than 250.
    pub async fn add_members_with(&self, identifiers: &[Identifier]) -> Result<(), ChangeError> {
        let inboxes = self.inner.inboxes_of(identifiers).await?;
        let members = self.record()?.members;
        let total = members.len() + inboxes.iter().filter(|inbox| !members.contains_key(inbox)).count();
        if total > MAX_MEMBERS {
            return Err(ChangeError::TooManyMembers(total));
        }
        self.add_members(&inboxes).await
    }

    /// Removes inboxes. Our own is left alone.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn remove_members(&self, inboxes: &[InboxId]) -> Result<(), ChangeError> {
        self.refuse_in_dm()?;
        self.inner.remove_members(&self.id, inboxes).await
    }

    /// Changes the name, at most 100 bytes.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn set_name(&self, name: &str) -> Result<(), ChangeError> {
        self.set_attribute(attribute::NAME, name).await
    }

    /// Changes the description, at most 1000 bytes.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn set_description(&self, description: &str) -> Result<(), ChangeError> {
        self.set_attribute(attribute::DESCRIPTION, description).await
    }

    /// Changes one metadata attribute (groups §2.3).
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn set_attribute(&self, key: &str, value: &str) -> Result<(), ChangeError> {
        self.inner.set_attribute(&self.id, key, value).await
    }

    /// Changes the list of admins or of super admins.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn change_admins(&self, change: AdminChange, inbox: InboxId) -> Result<(), ChangeError> {
        self.inner.change_admins(&self.id, change, inbox).await
    }

    /// Renews our own keys in the group.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn update_key(&self) -> Result<(), ChangeError> {
        self.inner.update_key(&self.id).await
    }

    /// A stream of its messages from now on; of a direct message, of all with the same inbox.
    ///
    /// # Errors
    /// As [`Conversation::record`].
    pub fn stream(&self) -> Result<MessageStream, SyncError> {
        let scope = match self.record()?.dm_peer {
            Some(peer) => Scope::Dm(peer),
            None => Scope::Group(self.id.clone()),
        };
        Ok(MessageStream::open(&self.inner, scope)?)
    }

    fn refuse_in_dm(&self) -> Result<(), ChangeError> {
        if self.kind()? == ConversationKind::Dm { Err(ChangeError::NotInDm) } else { Ok(()) }
    }

    fn query(&self, filter: MessageFilter) -> Result<MessageQuery, SyncError> {
        let MessageFilter { after, before, limit, order, kind, delivery } = filter;
        let groups = self.inner.store.siblings(&self.id)?;
        Ok(MessageQuery { groups, after, before, limit, order, kind, delivery, now: Some(self.inner.now()) })
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The entries of an admin list that are inbox ids; others mean nobody.
fn inboxes(texts: &[String]) -> Vec<InboxId> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn level(record: &Record, inbox: &InboxId) -> PermissionLevel {
    let text = inbox.to_hex();
    if record.super_admins.contains(&text) {
        PermissionLevel::SuperAdmin
    } else if record.admins.contains(&text) {
        PermissionLevel::Admin
    } else {
        PermissionLevel::Member
    }
}
