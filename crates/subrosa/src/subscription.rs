//! The subscriptions behind open streams: one task for each client while any stream is open (sync §4).
//!
//! An item that comes over a subscription is a hint and nothing more: it makes its group sync, in order, and only
//! that moves cursors. So streams and syncs cannot disagree, nothing is decrypted twice, and a commit needs no
//! special case.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{BoxStream, SelectAll},
};
use subrosa_cursor::{EntityKind, Positions};
use subrosa_store::{ConversationFilter, StoreError};
use subrosa_sync::{Entity, Event};
use subrosa_transport::{BadAnswer, NetworkError};
use subrosa_types::{Cursor, GroupId, SequenceId};
use tokio::sync::{Semaphore, broadcast::error::RecvError, mpsc, watch};

use crate::{conversations::SYNCS, error::SyncError, inner::Inner};

/// First and longest pause before subscribing again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// A session that lasted this long was a good one: the next pause is the first again.
const GOOD: Duration = Duration::from_secs(60);

/// First and longest pause before a failed sync is tried again.
const RETRIES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Subscriptions open side by side before they are replaced by one.
const SIDE_BY_SIDE: usize = 8;

/// The task of a client, if it runs.
#[derive(Default)]
pub(crate) struct Streams {
    running: Mutex<Weak<Subscription>>,
}

/// Held by every open stream; when the last one goes, the task ends.
pub(crate) struct Subscription {
    stop: watch::Sender<bool>,
    live: watch::Receiver<bool>,
}

impl Streams {
    /// Ends all streams.
    pub(crate) fn stop(&self) {
        if let Some(running) = self.running.lock().unwrap_or_else(PoisonError::into_inner).upgrade() {
            running.stop.send_replace(true);
        }
    }
}

impl Subscription {
    /// Whether subscriptions are open; changes to it can be waited for.
    pub(crate) fn live(&self) -> watch::Receiver<bool> {
        self.live.clone()
    }

    /// Turns true when the client is closed.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

impl Inner {
    /// The running task, or a new one.
    pub(crate) fn subscription(self: &Arc<Self>) -> Arc<Subscription> {
        let mut running = self.streams.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subscription) = running.upgrade() {
            return subscription;
        }
        let (stop, stopped) = watch::channel(false);
        let (set_live, live) = watch::channel(false);
        let subscription = Arc::new(Subscription { stop, live });
        *running = Arc::downgrade(&subscription);
        tokio::spawn(run(Arc::clone(self), stopped, set_live));
        subscription
    }
}

/// Subscribes again and again until nobody listens any more.
async fn run(inner: Arc<Inner>, mut stopped: watch::Receiver<bool>, live: watch::Sender<bool>) {
    let mut pause = PAUSES.0;
    loop {
        let began = tokio::time::Instant::now();
        let error = tokio::select! {
            // A change to true, or the sender is gone: nobody listens.
            _ = stopped.changed() => return,
            error = Session::run(&inner, &live) => error,
        };
        live.send_replace(false);
        if began.elapsed() >= GOOD {
            pause = PAUSES.0;
        }
        tracing::warn!(%error, ?pause, "subscriptions ended");
        tokio::select! {
            _ = stopped.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// What has to be synced.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Target {
    Group(GroupId),
    Welcomes,
}

/// One item of a subscription.
struct Hint {
    target: Target,
    at: Option<Cursor>,
}

type Hints = BoxStream<'static, Result<Hint, NetworkError>>;

/// From one subscription to the next failure.
struct Session<'i> {
    inner: &'i Arc<Inner>,
    welcomes: Hints,
    groups: SelectAll<Hints>,
    followed: HashSet<GroupId>,
    /// What is being synced, and whether it has to be synced again after that.
    running: HashMap<Target, bool>,
    places: Arc<Semaphore>,
    done: mpsc::UnboundedSender<Done>,
}

struct Done {
    target: Target,
    attempt: u32,
    result: Result<(), SyncError>,
}

impl<'i> Session<'i> {
    /// Runs until something fails.
    async fn run(inner: &'i Arc<Inner>, live: &watch::Sender<bool>) -> SyncError {
        match Self::run_to_end(inner, live).await {
            Err(error) => error,
            Ok(never) => match never {},
        }
    }

    async fn run_to_end(
        inner: &'i Arc<Inner>,
        live: &watch::Sender<bool>,
    ) -> Result<std::convert::Infallible, SyncError> {
        // First, so that no conversation of the catch-up is missed.
        let mut events = inner.events.subscribe();
        let (done, mut finished) = mpsc::unbounded_channel();
        let mut session = Self {
            inner,
            welcomes: futures::stream::pending().boxed(),
            groups: SelectAll::new(),
            followed: HashSet::new(),
            running: HashMap::new(),
            places: Arc::new(Semaphore::new(SYNCS)),
            done,
        };
        session.catch_up().await?;
        session.welcomes = session.subscribe_welcomes().await?;
        session.follow_new().await?;
        live.send_replace(true);
        loop {
            tokio::select! {
                hint = session.welcomes.next() => session.hint(ended(hint)?),
                hint = session.groups.next(), if !session.groups.is_empty() => session.hint(ended(hint)?),
                Some(done) = finished.recv() => session.finished(done),
                event = events.recv() => match event {
                    Ok(Event::Conversation(group)) if session.followed.contains(&group) => {}
                    Ok(Event::Conversation(_)) | Err(RecvError::Lagged(_)) => session.follow_new().await?,
                    Ok(_) => {}
                    Err(RecvError::Closed) => return Err(StoreError::Closed.into()),
                },
            }
        }
    }

    /// Syncs what changed while no subscription was open. The subscriptions start at the cursors, so that nothing
    /// falls between.
    async fn catch_up(&mut self) -> Result<(), SyncError> {
        self.inner.sync_welcomes().await?;
        let summary = self.inner.sync_changed(None).await?;
        for (group, error) in summary.failed {
            self.finished(Done { target: Target::Group(group), attempt: 0, result: Err(error) });
        }
        Ok(())
    }

    async fn subscribe_welcomes(&mut self) -> Result<Hints, SyncError> {
        let installation = self.inner.me.key.id();
        let entity = Entity { id: installation.as_bytes().to_vec(), kind: EntityKind::Welcome };
        let at = Positions::new(self.inner.store.cursor(&entity)?).query_from();
        let stream = self.inner.network.subscribe_welcomes(vec![(installation, at)]).await?;
        Ok(stream.map(|item| item.map(|_| Hint { target: Target::Welcomes, at: None })).boxed())
    }

    /// Follows the conversations that are not followed yet.
    async fn follow_new(&mut self) -> Result<(), SyncError> {
        let known = self.inner.store.conversations(&ConversationFilter::default())?;
        let active: Vec<GroupId> = known.into_iter().filter(|known| known.active).map(|known| known.id).collect();
        let mut filters: Vec<GroupId> = active.iter().filter(|id| !self.followed.contains(id)).cloned().collect();
        if filters.is_empty() {
            return Ok(());
        }
        self.followed.extend(filters.iter().cloned());
        if self.groups.len() >= SIDE_BY_SIDE {
            self.groups = SelectAll::new();
            filters = active;
        }
        let hints = self.subscribe_groups(filters).await?;
        self.groups.push(hints);
        Ok(())
    }

    async fn subscribe_groups(&mut self, groups: Vec<GroupId>) -> Result<Hints, SyncError> {
        let mut cursors = self.inner.store.cursors_of_groups(&groups)?;
        let filters: Vec<(GroupId, SequenceId)> = groups
            .into_iter()
            .map(|group| {
                let at = Positions::new(cursors.remove(&group).unwrap_or_default()).query_from();
                (group, at)
            })
            .collect();
        let stream = self.inner.network.subscribe_group_messages(filters).await?;
        let hints = stream.filter_map(|item| async {
            match item {
                Err(error) => Some(Err(error)),
                // One that does not decode has no effect; the next sync passes it.
                Ok(received) => received.item.ok().map(|message| {
                    let at = Some(message.cursor());
                    Ok(Hint { target: Target::Group(message.header.group_id), at })
                }),
            }
        });
        Ok(hints.boxed())
    }

    /// Syncs what a hint is about, unless that was done already.
    fn hint(&mut self, hint: Hint) {
        if let (Target::Group(group), Some(at)) = (&hint.target, hint.at) {
            let cursors = self.inner.store.cursors_of_groups(std::slice::from_ref(group));
            let covered = cursors.is_ok_and(|mut cursors| {
                cursors.remove(group).is_some_and(|cursors| Positions::new(cursors).covers(at))
            });
            if covered {
                return;
            }
        }
        match self.running.get_mut(&hint.target) {
            Some(again) => *again = true,
            None => self.start(hint.target, 0),
        }
    }

    fn start(&mut self, target: Target, attempt: u32) {
        self.running.insert(target.clone(), false);
        let (inner, places, done) = (Arc::clone(self.inner), Arc::clone(&self.places), self.done.clone());
        // A task of its own: it goes on when the subscription breaks.
        tokio::spawn(async move {
            if attempt > 0 {
                let pause = RETRIES.0.saturating_mul(1 << (attempt - 1).min(6));
                tokio::time::sleep(pause.min(RETRIES.1)).await;
            }
            let _place = places.acquire().await;
            let result = match &target {
                Target::Group(group) => inner.sync_group(group).await,
                Target::Welcomes => inner.sync_welcomes().await.map(|_| ()),
            };
            // Nobody listens any more: the next session catches up.
            let _ = done.send(Done { target, attempt, result });
        });
    }

    fn finished(&mut self, done: Done) {
        let again = self.running.remove(&done.target).unwrap_or(false);
        match done.result {
            Err(error) if error.is_retryable() => {
                tracing::debug!(target = ?done.target, %error, "a sync is tried again");
                self.start(done.target, done.attempt + 1);
            }
            Err(error) => tracing::warn!(target = ?done.target, %error, "a sync failed"),
            Ok(()) if again => self.start(done.target, 0),
            Ok(()) => {}
        }
    }
}

/// A subscription never ends without an error.
fn ended(hint: Option<Result<Hint, NetworkError>>) -> Result<Hint, NetworkError> {
    hint.unwrap_or(Err(NetworkError::BadAnswer(BadAnswer::Ended)))
}
