//! Streams of messages and conversations (sync §4, client §12).
//!
//! A stream ends when it is dropped or the client is closed, not when the network fails: subscriptions are opened
//! again and what was missed is caught up. A reader that falls behind is served from the database.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, StreamExt as _, stream::BoxStream};
use subrosa_store::{ConversationFilter, MessageMark, StoreError};
use subrosa_sync::{ConsentState, ConversationKind, Delivery, Event, Message};
use subrosa_types::{GroupId, InboxId, MessageId};
use tokio::sync::{
    broadcast::{Receiver, error::RecvError},
    watch,
};

use crate::{
    conversation::Conversation,
    inner::{EVENTS, Inner},
    subscription::Subscription,
};

/// Messages read from the database at a time when a reader fell behind.
const CHUNK: u32 = 500;

/// Messages between two places that a reader remembers.
const MARK_EVERY: usize = EVENTS / 2;

/// Ids a reader remembers, so that it sees each message once; more than come between two places.
const REMEMBERED: usize = 8 * MARK_EVERY;

/// Pause after the database failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Which messages or conversations a stream has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Only of this kind.
    pub kind: Option<ConversationKind>,
    /// Only of conversations the user has decided so about. Allowed and unknown by default.
    pub consent: Vec<ConsentState>,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { kind: None, consent: vec![ConsentState::Allowed, ConsentState::Unknown] }
    }
}

/// Messages as they reach the network or come from it, each once. Those of one conversation are in the order of its
/// log.
#[must_use = "streams do nothing unless polled"]
pub struct MessageStream {
    messages: BoxStream<'static, Message>,
    live: watch::Receiver<bool>,
}

/// New conversations, each once, also those made here.
#[must_use = "streams do nothing unless polled"]
pub struct ConversationStream {
    conversations: BoxStream<'static, Conversation>,
    live: watch::Receiver<bool>,
}

impl MessageStream {
    pub(crate) fn open(inner: &Arc<Inner>, scope: Scope) -> Result<Self, StoreError> {
        let reader = Reader {
            events: inner.events.subscribe(),
            // After subscribing: whatever is stored later comes as an event too.
            marks: [inner.store.newest_mark()?; 2],
            inner: Arc::clone(inner),
            subscription: inner.subscription(),
            scope,
            groups: HashMap::new(),
            ready: VecDeque::new(),
            waiting: HashSet::new(),
            seen: Seen::default(),
            since_mark: 0,
        };
        let live = reader.subscription.live();
        let messages = futures::stream::unfold(reader, |mut reader| async move {
            let message = reader.next().await?;
            Some((message, reader))
        });
        Ok(Self { messages: messages.boxed(), live })
    }

    /// The next message; `None` once the client is closed.
    pub async fn next(&mut self) -> Option<Message> {
        self.messages.next().await
    }

    /// Waits until the subscriptions are open and everything before them is caught up.
    pub async fn ready(&mut self) {
        let _ = self.live.wait_for(|live| *live).await;
    }
}

impl Stream for MessageStream {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        self.messages.poll_next_unpin(context)
    }
}

impl ConversationStream {
    pub(crate) fn open(inner: &Arc<Inner>, kind: Option<ConversationKind>) -> Result<Self, StoreError> {
        let events = inner.events.subscribe();
        let known = inner.store.conversations(&ConversationFilter::default())?;
        let mut watcher = Watcher {
            inner: Arc::clone(inner),
            subscription: inner.subscription(),
            events,
            kind,
            known: HashSet::new(),
            peers: HashSet::new(),
            ready: VecDeque::new(),
        };
        watcher.peers.extend(known.iter().filter_map(|known| known.dm_peer));
        watcher.known.extend(known.into_iter().map(|known| known.id));
        let live = watcher.subscription.live();
        let conversations = futures::stream::unfold(watcher, |mut watcher| async move {
            let conversation = watcher.next().await?;
            Some((conversation, watcher))
        });
        Ok(Self { conversations: conversations.boxed(), live })
    }

    /// The next conversation; `None` once the client is closed.
    pub async fn next(&mut self) -> Option<Conversation> {
        self.conversations.next().await
    }

    /// Waits until the subscriptions are open and everything before them is caught up.
    pub async fn ready(&mut self) {
        let _ = self.live.wait_for(|live| *live).await;
    }
}

impl Stream for ConversationStream {
    type Item = Conversation;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Conversation>> {
        self.conversations.poll_next_unpin(context)
    }
}

/// Whose messages a stream has.
pub(crate) enum Scope {
    /// Of every conversation that fits.
    All(StreamOptions),
    /// Of one group.
    Group(GroupId),
    /// Of all direct messages with one inbox.
    Dm(InboxId),
}

/// What a reader has to know of a group.
type Nature = (ConversationKind, Option<InboxId>);

struct Reader {
    inner: Arc<Inner>,
    subscription: Arc<Subscription>,
    events: Receiver<Event>,
    scope: Scope,
    groups: HashMap<GroupId, Nature>,
    ready: VecDeque<Message>,
    /// Our own messages that were seen before they reached the network.
    waiting: HashSet<MessageId>,
    seen: Seen,
    /// Two places: everything up to the first was delivered. The second becomes the first when the next is known,
    /// because events of different groups may overtake each other by a little.
    marks: [MessageMark; 2],
    since_mark: usize,
}

impl Reader {
    async fn next(&mut self) -> Option<Message> {
        let mut stopped = self.subscription.stopped();
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            let event = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return None,
                event = self.events.recv() => event,
            };
            let taken = match event {
                Ok(Event::Message(message)) => self.take(*message),
                Ok(Event::Delivered { message, .. }) => self.delivered(&message),
                Ok(_) => Ok(()),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "a stream reads on from the database");
                    self.repair()
                }
                Err(RecvError::Closed) => return None,
            };
            match taken {
                Ok(()) => {}
                Err(StoreError::Closed) => return None,
                Err(error) => {
                    tracing::warn!(%error, "a stream reads again from the database");
                    tokio::time::sleep(PAUSE).await;
                    while matches!(self.repair(), Err(error) if !matches!(error, StoreError::Closed)) {
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }

    fn delivered(&mut self, id: &MessageId) -> Result<(), StoreError> {
        match self.inner.store.message(id)? {
            Some(message) => self.take(message),
            None => Ok(()),
        }
    }

    /// Passes a message on if it is in the log, of this stream, and new.
    fn take(&mut self, message: Message) -> Result<(), StoreError> {
        if message.delivery != Delivery::Published {
            self.waiting.insert(message.id);
            return Ok(());
        }
        let id = message.id;
        if self.seen.contains(&id) {
            return Ok(());
        }
        if self.fits(&message)? {
            self.ready.push_back(message);
        }
        self.waiting.remove(&id);
        self.seen.insert(id);
        self.since_mark += 1;
        if self.since_mark >= MARK_EVERY
            && let Some(mark) = self.inner.store.mark_of(&id)?
        {
            self.marks = [self.marks[1], mark];
            self.since_mark = 0;
        }
        Ok(())
    }

    /// Reads what was stored since the first place.
    fn repair(&mut self) -> Result<(), StoreError> {
        let store = self.inner.store.clone();
        for id in self.waiting.clone() {
            match store.message(&id)? {
                Some(message) => self.take(message)?,
                None => _ = self.waiting.remove(&id),
            }
        }
        let mut mark = self.marks[0];
        loop {
            let stored = store.messages_after(mark, CHUNK)?;
            let Some((last, _)) = stored.last() else { break };
            mark = *last;
            for (_, id) in &stored {
                if !self.seen.contains(id)
                    && let Some(message) = store.message(id)?
                {
                    self.take(message)?;
                }
            }
        }
        self.marks = [mark; 2];
        self.since_mark = 0;
        Ok(())
    }

    fn fits(&mut self, message: &Message) -> Result<bool, StoreError> {
        let (kind, peer) = match self.groups.get(&message.group) {
            Some(nature) => *nature,
            None => {
                let Some(record) = self.inner.store.conversation(&message.group)? else { return Ok(false) };
                let nature = (record.kind, record.dm_peer);
                self.groups.insert(message.group.clone(), nature);
                nature
            }
        };
        Ok(match &self.scope {
            Scope::Group(group) => message.group == *group,
            Scope::Dm(inbox) => peer == Some(*inbox),
            Scope::All(StreamOptions { kind: wanted, consent }) => {
                kind.is_shown() && wanted.is_none_or(|wanted| wanted == kind) && {
                    let decided = self.inner.store.consent(&message.group)?;
                    consent.contains(&decided.map_or(ConsentState::Unknown, |consent| consent.state))
                }
            }
        })
    }
}

struct Watcher {
    inner: Arc<Inner>,
    subscription: Arc<Subscription>,
    events: Receiver<Event>,
    kind: Option<ConversationKind>,
    known: HashSet<GroupId>,
    peers: HashSet<InboxId>,
    ready: VecDeque<Conversation>,
}

impl Watcher {
    async fn next(&mut self) -> Option<Conversation> {
        let mut stopped = self.subscription.stopped();
        loop {
            if let Some(conversation) = self.ready.pop_front() {
                return Some(conversation);
            }
            let event = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return None,
                event = self.events.recv() => event,
            };
            let taken = match event {
                Ok(Event::Conversation(_)) | Err(RecvError::Lagged(_)) => self.look(),
                Ok(_) => Ok(()),
                Err(RecvError::Closed) => return None,
            };
            match taken {
                Ok(()) => {}
                Err(StoreError::Closed) => return None,
                // The next event looks again.
                Err(error) => tracing::warn!(%error, "a stream could not read the database"),
            }
        }
    }

    /// Takes the conversations that were not there before, oldest first.
    fn look(&mut self) -> Result<(), StoreError> {
        let mut found = self.inner.store.conversations(&ConversationFilter::default())?;
        found.retain(|record| !self.known.contains(&record.id));
        found.sort_by_key(|record| record.created_at);
        for record in found {
            self.known.insert(record.id.clone());
            // A second direct message with the same inbox is shown as the first (groups §4.6).
            let duplicate = record.dm_peer.is_some_and(|peer| !self.peers.insert(peer));
            if !duplicate && self.kind.is_none_or(|kind| kind == record.kind) {
                self.ready.push_back(Conversation { inner: Arc::clone(&self.inner), id: record.id });
            }
        }
        Ok(())
    }
}

/// The ids seen lately: two generations, so that it stays bounded.
#[derive(Default)]
struct Seen {
    young: HashSet<MessageId>,
    old: HashSet<MessageId>,
}

impl Seen {
    fn contains(&self, id: &MessageId) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }

    fn insert(&mut self, id: MessageId) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id);
    }
}
