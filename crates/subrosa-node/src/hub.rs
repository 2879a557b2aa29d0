//! Who wants to hear of new items. The writer hands every item to the subscribers of its topic, in commit order.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, RwLock},
    task::{Poll, Waker},
};

use futures::future;
use prost::Message;
use subrosa_proto::xmtp::mls::api::v1 as api;

use crate::store::locked;

/// Most bytes that wait for one subscriber.
const BACKLOG_BYTES: usize = 32 << 20;

/// The two families of subscriptions.
#[derive(Default)]
pub(crate) struct Hubs {
    pub(crate) messages: Arc<Hub<api::GroupMessage>>,
    pub(crate) welcomes: Arc<Hub<api::WelcomeMessage>>,
}

impl Hubs {
    /// Ends all subscriptions, those to come too.
    pub(crate) fn close(&self) {
        self.messages.close();
        self.welcomes.close();
    }

    /// Makes every subscriber start over from the database.
    pub(crate) fn disturb(&self) {
        self.messages.disturb();
        self.welcomes.disturb();
    }
}

/// What can be subscribed to.
pub(crate) trait Delivery: Message + Clone + Default + Send + Sync + 'static {
    /// Topic and id.
    fn place(&self) -> Option<(&[u8], u64)>;
}

impl Delivery for api::GroupMessage {
    fn place(&self) -> Option<(&[u8], u64)> {
        let api::group_message::Version::V1(v1) = self.version.as_ref()?;
        Some((&v1.group_id, v1.id))
    }
}

impl Delivery for api::WelcomeMessage {
    fn place(&self) -> Option<(&[u8], u64)> {
        Some(match self.version.as_ref()? {
            api::welcome_message::Version::V1(v1) => (&v1.installation_key, v1.id),
            api::welcome_message::Version::WelcomePointer(pointer) => (&pointer.installation_key, pointer.id),
        })
    }
}

/// Subscribers by topic.
pub(crate) struct Hub<T> {
    topics: RwLock<Topics<T>>,
}

struct Topics<T> {
    by_topic: HashMap<Vec<u8>, Vec<Arc<Subscriber<T>>>>,
    all: Vec<std::sync::Weak<Subscriber<T>>>,
    is_closed: bool,
}

impl<T> Default for Hub<T> {
    fn default() -> Self {
        Self { topics: RwLock::new(Topics { by_topic: HashMap::new(), all: Vec::new(), is_closed: false }) }
    }
}

impl<T: Delivery> Hub<T> {
    /// Hands items to their subscribers. Called by the writer only, after the commit.
    pub(crate) fn publish(&self, items: Vec<T>) {
        if items.is_empty() {
            return;
        }
        let topics = self.topics.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        if topics.by_topic.is_empty() {
            return;
        }
        for item in items {
            let Some(subscribers) = item.place().and_then(|(topic, _)| topics.by_topic.get(topic)) else { continue };
            let item = Arc::new(item);
            for subscriber in subscribers {
                subscriber.push(&item);
            }
        }
    }

    /// Registers a subscriber for the life of what is returned.
    pub(crate) fn subscribe(self: &Arc<Self>, wanted: BTreeSet<Vec<u8>>, backlog: usize) -> Subscription<T> {
        let subscriber = Arc::new(Subscriber { queue: Mutex::new(Queue::new(backlog)) });
        let mut topics = self.topics.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if topics.is_closed {
            subscriber.close();
        }
        for topic in &wanted {
            topics.by_topic.entry(topic.clone()).or_default().push(Arc::clone(&subscriber));
        }
        topics.all.retain(|other| other.strong_count() > 0);
        topics.all.push(Arc::downgrade(&subscriber));
        drop(topics);
        Subscription { hub: Arc::clone(self), subscriber, wanted }
    }

    fn close(&self) {
        let mut topics = self.topics.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        topics.is_closed = true;
        for subscriber in topics.all.drain(..).filter_map(|subscriber| subscriber.upgrade()) {
            subscriber.close();
        }
    }

    fn disturb(&self) {
        let topics = self.topics.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        for subscriber in topics.all.iter().filter_map(std::sync::Weak::upgrade) {
            subscriber.overflow();
        }
    }

    fn unsubscribe(&self, subscriber: &Arc<Subscriber<T>>, wanted: &BTreeSet<Vec<u8>>) {
        let mut topics = self.topics.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for topic in wanted {
            if let Some(subscribers) = topics.by_topic.get_mut(topic) {
                subscribers.retain(|other| !Arc::ptr_eq(other, subscriber));
                if subscribers.is_empty() {
                    topics.by_topic.remove(topic);
                }
            }
        }
    }
}

/// One subscriber: what it has not taken yet.
struct Subscriber<T> {
    queue: Mutex<Queue<T>>,
}

struct Queue<T> {
    items: VecDeque<Arc<T>>,
    bytes: usize,
    backlog: usize,
    /// Items were dropped; nothing is queued until somebody looks.
    has_overflowed: bool,
    is_closed: bool,
    waker: Option<Waker>,
}

impl<T> Queue<T> {
    fn new(backlog: usize) -> Self {
        Self { items: VecDeque::new(), bytes: 0, backlog, has_overflowed: false, is_closed: false, waker: None }
    }
}

impl<T: Message> Subscriber<T> {
    fn push(&self, item: &Arc<T>) {
        let mut queue = locked(&self.queue);
        if queue.has_overflowed {
            return;
        }
        let bytes = item.encoded_len();
        if queue.items.len() >= queue.backlog || queue.bytes + bytes > BACKLOG_BYTES.max(bytes) {
            queue.has_overflowed = true;
            queue.items.clear();
            queue.bytes = 0;
        } else {
            queue.bytes += bytes;
            queue.items.push_back(Arc::clone(item));
        }
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Subscriber<T> {
    fn overflow(&self) {
        let mut queue = locked(&self.queue);
        queue.has_overflowed = true;
        queue.items.clear();
        queue.bytes = 0;
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }

    fn close(&self) {
        let mut queue = locked(&self.queue);
        queue.is_closed = true;
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
    }
}

/// What a subscriber hears.
#[derive(Debug)]
pub(crate) enum Heard<T> {
    /// A new item.
    Item(Arc<T>),
    /// Items were dropped because too many waited.
    Overflow,
    /// The node is shutting down.
    Closed,
}

/// A registered subscriber. Dropping it ends the registration.
pub(crate) struct Subscription<T: Delivery> {
    hub: Arc<Hub<T>>,
    subscriber: Arc<Subscriber<T>>,
    wanted: BTreeSet<Vec<u8>>,
}

impl<T: Delivery> Subscription<T> {
    /// Waits for what comes next.
    pub(crate) async fn next(&mut self) -> Heard<T> {
        future::poll_fn(|context| {
            let mut queue = locked(&self.subscriber.queue);
            if queue.is_closed {
                return Poll::Ready(Heard::Closed);
            }
            if queue.has_overflowed {
                return Poll::Ready(Heard::Overflow);
            }
            if let Some(item) = queue.items.pop_front() {
                queue.bytes = queue.bytes.saturating_sub(item.encoded_len());
                return Poll::Ready(Heard::Item(item));
            }
            queue.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Whether items were dropped since the last call. From here on items are queued again, so what was dropped can
    /// be read from the database without a gap.
    pub(crate) fn recover(&mut self) -> bool {
        let mut queue = locked(&self.subscriber.queue);
        std::mem::take(&mut queue.has_overflowed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        locked(&self.subscriber.queue).is_closed
    }
}

impl<T: Delivery> Drop for Subscription<T> {
    fn drop(&mut self) {
        self.hub.unsubscribe(&self.subscriber, &self.wanted);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn message(id: u64) -> api::GroupMessage {
        let v1 = api::group_message::V1 { id, group_id: vec![1], ..Default::default() };
        api::GroupMessage { version: Some(api::group_message::Version::V1(v1)) }
    }

    fn next_id(subscription: &mut Subscription<api::GroupMessage>) -> Option<u64> {
        match subscription.next().now_or_never()? {
            Heard::Item(item) => item.place().map(|(_, id)| id),
            Heard::Overflow | Heard::Closed => Some(0),
        }
    }

    #[test]
    fn items_arrive_in_order_until_the_backlog_is_full() {
        let hub = Arc::new(Hub::default());
        let mut subscription = hub.subscribe(BTreeSet::from([vec![1]]), 2);
        hub.publish(vec![message(1), message(2)]);
        assert_eq!(
            [next_id(&mut subscription), next_id(&mut subscription), next_id(&mut subscription)],
            [Some(1), Some(2), None]
        );
        hub.publish(vec![message(3), message(4), message(5)]);
        assert_eq!(next_id(&mut subscription), Some(0));
        assert!(subscription.recover());
        hub.publish(vec![message(6)]);
        assert_eq!(next_id(&mut subscription), Some(6));
        assert!(!subscription.recover());
    }

    #[test]
    fn a_dropped_subscription_is_forgotten() {
        let hub = Arc::new(Hub::<api::GroupMessage>::default());
        drop(hub.subscribe(BTreeSet::from([vec![1], vec![2]]), 2));
        assert!(hub.topics.read().unwrap().by_topic.is_empty());
    }

    #[test]
    fn closing_ends_subscriptions_present_and_future() {
        let hub = Arc::new(Hub::<api::GroupMessage>::default());
        let mut before = hub.subscribe(BTreeSet::new(), 2);
        hub.close();
        let mut after = hub.subscribe(BTreeSet::new(), 2);
        assert!(matches!(before.next().now_or_never(), Some(Heard::Closed)));
        assert!(matches!(after.next().now_or_never(), Some(Heard::Closed)));
    }
}
