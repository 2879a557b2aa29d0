//! What a node is opened with.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use subrosa_chain::ChainVerifier;
use subrosa_types::UnixNanos;

/// A source of time. Tests hand in their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixNanos + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self::from_fn(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UnixNanos::EPOCH.plus(since)
        })
    }

    /// A clock that asks `now`.
    pub fn from_fn(now: impl Fn() -> UnixNanos + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now, in whole microseconds, as nodes have it (envelopes §9, rule 7).
    #[must_use]
    pub fn now(&self) -> UnixNanos {
        let nanos = (self.0)().as_nanos();
        UnixNanos::from_nanos(nanos.saturating_sub(nanos.rem_euclid(1000)))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How long a node keeps what it may forget (transport §10, N32). Commits, identity logs and commit logs are kept
/// for ever (N31). `None` keeps everything.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// Group messages that are not commits; at least 30 days.
    pub messages: Option<Duration>,
    /// Welcomes and pointees; at least 90 days.
    pub welcomes: Option<Duration>,
    /// Key packages, counted from their upload; at least 90 days.
    pub key_packages: Option<Duration>,
}

impl Retention {
    /// What the deployed node keeps (transport §4.10).
    #[must_use]
    pub const fn deployed() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self {
            messages: Some(DAY.saturating_mul(30)),
            welcomes: Some(DAY.saturating_mul(90)),
            key_packages: Some(DAY.saturating_mul(90)),
        }
    }
}

/// What a node is opened with.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Folder of the database, made if absent; `None` keeps everything in memory.
    pub data: Option<PathBuf>,
    /// The node's clock: it stamps what is stored and judges lifetimes of key packages.
    pub clock: Clock,
    /// Undelivered items a subscription may have before it is ended (transport §4.8).
    pub subscription_backlog: usize,
    /// What [`crate::Node::prune`] removes.
    pub retention: Retention,
    /// Who is asked about contract wallets; `None` asks nobody: then identity updates that need an answer are
    /// refused with "cannot tell now" (identity §12).
    pub chains: Option<ChainVerifier>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data: None,
            clock: Clock::system(),
            subscription_backlog: 1024,
            retention: Retention::default(),
            chains: None,
        }
    }
}

impl NodeConfig {
    /// A node that keeps everything in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// A node whose database is in `folder`.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { data: Some(folder.into()), ..Self::default() }
    }
}
