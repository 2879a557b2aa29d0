//! A subscription as a client sees it: what was stored after a position, then what is stored from now on, without a
//! gap and without a repetition (transport §4.8, N22–N26).

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use diesel::{SqliteConnection, result::QueryResult};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use subrosa_proto::xmtp::mls::api::v1 as api;
use tonic::Status;

use crate::{
    hub::{Delivery, Heard, Hub, Subscription},
    store::{Cut, Slice, Store, query},
};

/// Items and bytes that one read of history takes.
const HISTORY_ITEMS: usize = 256;
const HISTORY_BYTES: usize = 1 << 20;

/// Topics that one read of history visits at most.
const HISTORY_TOPICS: usize = 1024;

/// Deliveries that are kept in the store.
pub(crate) trait Stored: Delivery {
    /// Reads a part of a topic's log.
    fn slice(connection: &mut SqliteConnection, topic: &[u8], slice: Slice) -> QueryResult<Cut<Self>>;
}

impl Stored for api::GroupMessage {
    fn slice(connection: &mut SqliteConnection, topic: &[u8], slice: Slice) -> QueryResult<Cut<Self>> {
        query::group_messages(connection, topic, slice)
    }
}

impl Stored for api::WelcomeMessage {
    fn slice(connection: &mut SqliteConnection, topic: &[u8], slice: Slice) -> QueryResult<Cut<Self>> {
        query::welcomes(connection, topic, slice)
    }
}

/// Opens a subscription. `filters` are topics and positions.
pub(crate) fn open<T: Stored>(
    store: Arc<Store>,
    hub: &Arc<Hub<T>>,
    filters: Vec<(Vec<u8>, i64)>,
    backlog: usize,
) -> BoxStream<'static, Result<T, Status>> {
    let mut marks = BTreeMap::new();
    for (topic, after) in filters {
        let mark = marks.entry(topic).or_insert(after);
        *mark = after.min(*mark);
    }
    // Registered before anything is read: what is committed from here on is either read or heard.
    let live = hub.subscribe(marks.keys().cloned().collect(), backlog);
    let feed = Feed { store, live, unread: marks.keys().cloned().collect(), marks, ready: VecDeque::new() };
    stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        match feed.next().await {
            Ok(item) => Some((Ok(item), Some(feed))),
            Err(status) => Some((Err(status), None)),
        }
    })
    .boxed()
}

struct Feed<T: Stored> {
    store: Arc<Store>,
    live: Subscription<T>,
    /// Topics whose history is still to be read.
    unread: VecDeque<Vec<u8>>,
    /// Last id that was delivered, by topic.
    marks: BTreeMap<Vec<u8>, i64>,
    /// History that was read and not delivered yet.
    ready: VecDeque<T>,
}

impl<T: Stored> Feed<T> {
    async fn next(&mut self) -> Result<T, Status> {
        loop {
            while let Some(item) = self.ready.pop_front() {
                if self.pass(&item) {
                    return Ok(item);
                }
            }
            if self.live.is_closed() {
                return Err(shutting_down());
            }
            if !self.unread.is_empty() {
                self.read_history().await?;
                continue;
            }
            match self.live.next().await {
                Heard::Item(item) => {
                    if self.pass(&item) {
                        return Ok(Arc::unwrap_or_clone(item));
                    }
                }
                Heard::Overflow => return Err(too_slow()),
                Heard::Closed => return Err(shutting_down()),
            }
        }
    }

    /// Moves the high-water mark of the item's topic; false for an item that is not above it.
    fn pass(&mut self, item: &T) -> bool {
        let Some((topic, id)) = item.place() else { return false };
        let Some(mark) = self.marks.get_mut(topic) else { return false };
        let id = id.cast_signed();
        if id <= *mark {
            return false;
        }
        *mark = id;
        true
    }

    /// Reads the next part of history. When live items were dropped during the reading, history is read again from
    /// where each topic stands: a reader cannot be blamed for the time that its history takes.
    async fn read_history(&mut self) -> Result<(), Status> {
        let topics: Vec<_> = self
            .unread
            .iter()
            .take(HISTORY_TOPICS)
            .map(|topic| (topic.clone(), self.marks.get(topic).copied().unwrap_or(0)))
            .collect();
        let (items, finished) = self
            .store
            .read(move |connection| read_topics::<T>(connection, &topics))
            .await
            .map_err(|error| crate::status::read_failed(&error))?;
        self.ready.extend(items);
        self.unread.drain(..finished);
        if self.unread.is_empty() && self.live.recover() {
            self.unread = self.marks.keys().cloned().collect();
        }
        Ok(())
    }
}

/// Reads history until the batch is full. Returns the items and how many topics were read to their end.
fn read_topics<T: Stored>(
    connection: &mut SqliteConnection,
    topics: &[(Vec<u8>, i64)],
) -> QueryResult<(Vec<T>, usize)> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    for (finished, (topic, after)) in topics.iter().enumerate() {
        let room = HISTORY_ITEMS.saturating_sub(items.len());
        if room == 0 || bytes >= HISTORY_BYTES {
            return Ok((items, finished));
        }
        let slice = Slice { descending: false, cursor: *after, limit: room, bytes: HISTORY_BYTES - bytes };
        let cut = T::slice(connection, topic, slice)?;
        let may_have_more = cut.is_cut || cut.items.len() == room;
        bytes += cut.bytes;
        items.extend(cut.items);
        if may_have_more {
            return Ok((items, finished));
        }
    }
    Ok((items, topics.len()))
}

fn too_slow() -> Status {
    Status::aborted("caller did not read all messages fast enough")
}

fn shutting_down() -> Status {
    Status::unavailable("service is shutting down")
}
