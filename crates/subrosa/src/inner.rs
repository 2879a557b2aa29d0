//! What all handles of one client share.

use std::sync::{Arc, Mutex};

use subrosa_group::Randomness;
use subrosa_store::Store;
use subrosa_sync::Me;
use subrosa_transport::Network;
use subrosa_types::UnixNanos;
use tokio::sync::broadcast;

use crate::{clock::Clock, groups::Groups, identities::Identities, subscription::Streams, workers};

/// How many events a slow reader may be behind before it is told that it missed some.
pub(crate) const EVENTS: usize = 1024;

/// The shared parts of a client. Handles ([`crate::Client`], [`crate::Conversation`]) are cheap clones of an `Arc`
/// of it.
pub(crate) struct Inner {
    /// Who we are: inbox, installation key, HMAC root.
    pub(crate) me: Arc<Me>,
    /// The database.
    pub(crate) store: Store,
    /// The network.
    pub(crate) network: Arc<dyn Network>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Random bytes.
    pub(crate) random: Randomness,
    /// Replayed identity logs.
    pub(crate) identities: Identities,
    /// Loaded groups, one lock each.
    pub(crate) groups: Groups,
    /// Held while an intent is queued, so that a key update is queued once.
    pub(crate) queueing: tokio::sync::Mutex<()>,
    /// Held while welcomes are taken, so that each is taken once.
    pub(crate) welcoming: tokio::sync::Mutex<()>,
    /// The newest time that named a message.
    pub(crate) last_key: Mutex<UnixNanos>,
    /// What happened here, for streams.
    pub(crate) events: broadcast::Sender<subrosa_sync::Event>,
    /// The subscriptions behind open streams.
    pub(crate) streams: Streams,
    /// Wakes the background task, and ends it when this is dropped.
    pub(crate) workers: workers::Signal,
}

impl Inner {
    /// The time now.
    pub(crate) fn now(&self) -> UnixNanos {
        self.clock.now()
    }

    /// Makes what happened visible to streams. Nobody listening is not an error.
    pub(crate) fn emit(&self, events: Vec<subrosa_sync::Event>) {
        for event in events {
            let _ = self.events.send(event);
        }
    }
}
