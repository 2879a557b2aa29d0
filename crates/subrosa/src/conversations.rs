//! All conversations of a client.

use std::{fmt, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use subrosa_cursor::Positions;
use subrosa_group::IdentityNeed;
use subrosa_identity::Identifier;
use subrosa_store::{ConversationFilter, Duplicates, Kinds};
use subrosa_sync::{ConsentState, ConversationKind, Message};
use subrosa_types::{Cursor, GroupId, InboxId, MessageId, OriginatorId, SequenceId, UnixNanos};

use crate::{
    changes::{CHECK_AFTER_SYNC, GroupOptions},
    conversation::Conversation,
    error::{ChangeError, SyncError},
    inner::Inner,
    streams::{ConversationStream, MessageStream, Scope, StreamOptions},
};

/// Groups synced at the same time (sync §1).
pub(crate) const SYNCS: usize = 10;

/// Groups in one request for newest messages.
const NEWEST_PER_REQUEST: usize = 1000;

/// Most inboxes of a group, checked where identifiers are added (client §14).
pub(crate) const MAX_MEMBERS: usize = 250;

/// All conversations of a client: making, finding, syncing and streaming them.
#[derive(Clone)]
pub struct Conversations {
    pub(crate) inner: Arc<Inner>,
}

/// Which conversations are listed, and how (client §2). Sync and one-shot groups never are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListOptions {
    /// Only of this kind.
    pub kind: Option<ConversationKind>,
    /// With which decision of the user: allowed and unknown by default.
    pub consent: Vec<ConsentState>,
    /// Whether each of several direct messages with one inbox is listed, not only the one that is used.
    pub duplicates: bool,
    /// In which order.
    pub order: ListOrder,
    /// Created later than this.
    pub created_after: Option<UnixNanos>,
    /// Created earlier than this.
    pub created_before: Option<UnixNanos>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self {
            kind: None,
            consent: vec![ConsentState::Allowed, ConsentState::Unknown],
            duplicates: false,
            order: ListOrder::default(),
            created_after: None,
            created_before: None,
            limit: None,
        }
    }
}

/// How a list is sorted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ListOrder {
    /// Latest activity first: the newest message, or else the creation.
    #[default]
    Activity,
    /// Latest creation first.
    Created,
}

/// What syncing everything did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SyncSummary {
    /// Conversations looked at.
    pub eligible: usize,
    /// Conversations that had something new and were synced.
    pub synced: usize,
    /// Conversations whose sync failed. They stay as they are, and the others are not affected.
    pub failed: Vec<(GroupId, SyncError)>,
    /// Why welcomes could not be synced, if they could not.
    pub welcomes: Option<SyncError>,
}

impl Conversations {
    /// Makes a group and adds these inboxes. Without any, the group is published all the same.
    ///
    /// # Errors
    /// [`ChangeError`]. After [`ChangeError::UnknownInbox`] nothing was made; after any other error the group may be
    /// here, without the members.
    pub async fn create_group(&self, members: &[InboxId], options: GroupOptions) -> Result<Conversation, ChangeError> {
        self.inner.require(members).await?;
        let id = self.inner.create_group(options).await?;
        self.inner.add_members(&id, members).await?;
        Ok(self.handle(id))
    }

    /// Makes a group of the inboxes these identifiers belong to.
    ///
    /// # Errors
    /// [`ChangeError::UnknownInbox`] with the identifiers that belong to none, and as
    /// [`Conversations::create_group`].
    pub async fn create_group_with(
        &self,
        identifiers: &[Identifier],
        options: GroupOptions,
    ) -> Result<Conversation, ChangeError> {
        let members = self.inner.inboxes_of(identifiers).await?;
        self.create_group(&members, options).await
    }

    /// Makes a group here only. Messages can be queued in it; adding members publishes it.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn create_group_offline(&self, options: GroupOptions) -> Result<Conversation, ChangeError> {
        let id = self.inner.create_group(options).await?;
        Ok(self.handle(id))
    }

    /// The direct message with an inbox: the one there is, or a new one (client §2.1).
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn dm(&self, peer: InboxId) -> Result<Conversation, ChangeError> {
        if let Some(known) = self.dm_with(&peer)? {
            return Ok(known);
        }
        self.inner.require(&[peer]).await?;
        let id = self.inner.create_dm(peer).await?;
        self.inner.add_members(&id, &[peer]).await?;
        Ok(self.handle(id))
    }

    /// The direct message with the inbox an identifier belongs to.
    ///
    /// # Errors
    /// [`ChangeError::UnknownInbox`] if it belongs to none, and as [`Conversations::dm`].
    pub async fn dm_with_identifier(&self, identifier: &Identifier) -> Result<Conversation, ChangeError> {
        let peers = self.inner.inboxes_of(std::slice::from_ref(identifier)).await?;
        let peer = peers.first().ok_or_else(|| ChangeError::UnknownInbox(vec![identifier.text()]))?;
        self.dm(*peer).await
    }

    /// The direct message with an inbox that is used, if there is one here.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn dm_with(&self, peer: &InboxId) -> Result<Option<Conversation>, SyncError> {
        let found = self.inner.store.dm_with(peer, self.inner.now())?;
        Ok(found.map(|found| self.handle(found.id)))
    }

    /// The conversation with this id, if it is here. For a direct message that is one of several with the same inbox,
    /// the one that is used.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn get(&self, id: &GroupId) -> Result<Option<Conversation>, SyncError> {
        let Some(record) = self.inner.store.conversation(id)? else { return Ok(None) };
        match record.dm_peer {
            Some(peer) => Ok(self.dm_with(&peer)?.or_else(|| Some(self.handle(record.id)))),
            None => Ok(record.kind.is_shown().then(|| self.handle(record.id))),
        }
    }

    /// A message by its id, if it is here.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn message(&self, id: &MessageId) -> Result<Option<Message>, SyncError> {
        Ok(self.inner.store.message(id)?)
    }

    /// Deletes a message here, and nowhere else. It does not come back (client §6.3).
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub async fn delete_message(&self, id: &MessageId) -> Result<bool, SyncError> {
        let id = *id;
        Ok(self.inner.store.run(move |store| store.delete_message(&id)).await?)
    }

    /// The conversations that are here, latest first.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<Conversation>, SyncError> {
        let duplicates =
            if options.duplicates { Duplicates::Listed } else { Duplicates::Hidden { now: self.inner.now() } };
        let filter = ConversationFilter { kinds: Kinds::Shown, consent: Some(options.consent.clone()), duplicates };
        let mut found = self.inner.store.conversations(&filter)?;
        found.retain(|record| {
            options.kind.is_none_or(|kind| kind == record.kind)
                && options.created_after.is_none_or(|after| record.created_at > after)
                && options.created_before.is_none_or(|before| record.created_at < before)
        });
        if options.order == ListOrder::Created {
            found.sort_by_key(|record| std::cmp::Reverse(record.created_at));
        }
        found.truncate(options.limit.unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|record| self.handle(record.id)).collect())
    }

    /// Reads new welcomes; the conversations they brought.
    ///
    /// # Errors
    /// [`SyncError`].
    pub async fn sync(&self) -> Result<Vec<Conversation>, SyncError> {
        let new = self.inner.sync_welcomes().await?;
        Ok(new.into_iter().map(|id| self.handle(id)).collect())
    }

    /// Reads new welcomes, then the news of every conversation that is allowed or not decided (sync §3.6).
    ///
    /// # Errors
    /// [`SyncError`] when nothing could be looked at; the failure of one conversation is in the summary.
    pub async fn sync_all(&self) -> Result<SyncSummary, SyncError> {
        self.sync_all_with(&[ConsentState::Allowed, ConsentState::Unknown]).await
    }

    /// [`Conversations::sync_all`] for conversations with these decisions of the user.
    ///
    /// # Errors
    /// As [`Conversations::sync_all`].
    pub async fn sync_all_with(&self, consent: &[ConsentState]) -> Result<SyncSummary, SyncError> {
        let welcomes = self.inner.sync_welcomes().await.err();
        let summary = self.inner.sync_changed(Some(consent.to_vec())).await?;
        Ok(SyncSummary { welcomes, ..summary })
    }

    /// A stream of the conversations that are new from now on, of one kind or of both.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn stream(&self, kind: Option<ConversationKind>) -> Result<ConversationStream, SyncError> {
        Ok(ConversationStream::open(&self.inner, kind)?)
    }

    /// A stream of the messages of all conversations, those there are and those to come.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn stream_messages(&self, options: StreamOptions) -> Result<MessageStream, SyncError> {
        Ok(MessageStream::open(&self.inner, Scope::All(options))?)
    }

    fn handle(&self, id: GroupId) -> Conversation {
        Conversation { inner: Arc::clone(&self.inner), id }
    }
}

impl fmt::Debug for Conversations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversations").finish_non_exhaustive()
    }
}

impl Inner {
    /// Syncs the groups that have something new on the network or something to send (sync §3.6).
    pub(crate) async fn sync_changed(
        self: &Arc<Self>,
        consent: Option<Vec<ConsentState>>,
    ) -> Result<SyncSummary, SyncError> {
        let filter = ConversationFilter { kinds: Kinds::All, consent, duplicates: Duplicates::Listed };
        let records = self.store.run(move |store| store.conversations(&filter)).await?;
        let eligible = records.len();
        let active: Vec<GroupId> = records.into_iter().filter(|record| record.active).map(|record| record.id).collect();
        let changed = self.changed_of(active).await?;
        let results: Vec<(GroupId, Result<(), SyncError>)> = stream::iter(changed)
            .map(|group| {
                let inner = Arc::clone(self);
                async move {
                    let result = inner.sync_and_update(&group, CHECK_AFTER_SYNC).await;
                    (group, result)
                }
            })
            .buffer_unordered(SYNCS)
            .collect()
            .await;
        let mut summary = SyncSummary { eligible, ..SyncSummary::default() };
        for (group, result) in results {
            match result {
                Ok(()) => summary.synced += 1,
                Err(error) => summary.failed.push((group, error)),
            }
        }
        Ok(summary)
    }

    /// Those of the groups whose newest message was not processed here, or that have intents to settle.
    async fn changed_of(&self, groups: Vec<GroupId>) -> Result<Vec<GroupId>, SyncError> {
        let outstanding = self.store.groups_with_outstanding_intents()?;
        let mut changed = Vec::new();
        for some in groups.chunks(NEWEST_PER_REQUEST) {
            let newest = self.network.newest_group_messages(some).await?;
            let cursors = self.store.cursors_of_groups(some)?;
            for (group, newest) in some.iter().zip(newest) {
                let news = newest.is_some_and(|newest| {
                    let originator = if newest.is_commit { OriginatorId::COMMITS } else { OriginatorId::MESSAGES };
                    let known = cursors.get(group).map(|cursors| Positions::new(cursors.iter().copied()));
                    known.is_none_or(|known| !known.covers(Cursor::new(originator, newest.sequence)))
                });
                if news || outstanding.contains(group) {
                    changed.push(group.clone());
                }
            }
        }
        Ok(changed)
    }

    /// Syncs a group, then brings its tree up to date with the installations of its members. That the latter fails
    /// does no harm: whoever sends or syncs next does it.
    pub(crate) async fn sync_and_update(
        self: &Arc<Self>,
        group: &GroupId,
        interval: Duration,
    ) -> Result<(), SyncError> {
        self.sync_group(group).await?;
        if let Err(error) = self.update_installations(group, interval).await {
            tracing::warn!(?group, %error, "installations of members could not be brought up to date");
        }
        Ok(())
    }

    /// Fails if one of the inboxes does not exist. The network is asked only about those not known here.
    async fn require(&self, inboxes: &[InboxId]) -> Result<(), ChangeError> {
        let needs: Vec<_> = inboxes.iter().map(|inbox| IdentityNeed { inbox: *inbox, up_to: SequenceId(1) }).collect();
        let known = self.identities.resolve(&needs).await?;
        let missing = inboxes.iter().filter(|inbox| known.log(inbox).is_none());
        let unknown: Vec<String> = missing.map(InboxId::to_hex).collect();
        if unknown.is_empty() { Ok(()) } else { Err(ChangeError::UnknownInbox(unknown)) }
    }

    /// The inboxes these identifiers belong to, all of them.
    pub(crate) async fn inboxes_of(&self, identifiers: &[Identifier]) -> Result<Vec<InboxId>, ChangeError> {
        if identifiers.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.network.inbox_ids(identifiers).await?;
        let mut inboxes = Vec::with_capacity(found.len());
        let mut unknown = Vec::new();
        for (identifier, inbox) in identifiers.iter().zip(found) {
            match inbox {
                Some(inbox) => inboxes.push(inbox),
                None => unknown.push(identifier.text()),
            }
        }
        if unknown.is_empty() { Ok(inboxes) } else { Err(ChangeError::UnknownInbox(unknown)) }
    }
}
