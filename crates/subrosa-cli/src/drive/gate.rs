//! A network that stands still at a chosen point, so that whoever drives the client can kill it exactly there.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::{self, BoxFuture, FutureExt as _};
use serde::Deserialize;
use subrosa::{GroupId, Identifier, InboxId, InstallationId, Network, NetworkError};
use subrosa_envelope::{CommitLogUpload, GroupMessage, GroupMessageInput, Welcome, WelcomeInput};
use subrosa_identity::{ChainCheck, IdentityUpdate};
use subrosa_transport::{CommitLogPage, ContractVerdict, EnvelopeStream, LogEntry, Newest, Page};
use subrosa_types::SequenceId;

/// Where to stand still.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Point {
    /// A payload is stored and has not left.
    Stored,
    /// The node has it, and we have not seen it in the log.
    Published,
    /// A commit took effect, and its welcomes have not left.
    Committed,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stored => "stored",
            Self::Published => "published",
            Self::Committed => "committed",
        })
    }
}

/// The network behind a gate that is open until it is told where to close.
pub(super) struct Gate<N> {
    network: N,
    closing: Arc<Closing>,
}

/// Where a gate closes, and who is told.
pub(super) struct Closing {
    point: Mutex<Option<Point>>,
    tell: Box<dyn Fn(Point) + Send + Sync>,
}

impl Closing {
    /// Closes nowhere yet.
    pub(super) fn new(tell: impl Fn(Point) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { point: Mutex::new(None), tell: Box::new(tell) })
    }

    /// The next call that comes to this point never returns.
    pub(super) fn at(&self, point: Point) {
        *self.point.lock().unwrap_or_else(PoisonError::into_inner) = Some(point);
    }

    async fn pass(&self, point: Point) {
        if *self.point.lock().unwrap_or_else(PoisonError::into_inner) == Some(point) {
            (self.tell)(point);
            future::pending().await
        }
    }
}

impl<N: Network> Gate<N> {
    pub(super) fn new(network: N, closing: Arc<Closing>) -> Self {
        Self { network, closing }
    }
}

impl<N: Network> Network for Gate<N> {
    fn send_group_messages(&self, messages: Vec<GroupMessageInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            self.closing.pass(Point::Stored).await;
            self.network.send_group_messages(messages).await?;
            self.closing.pass(Point::Published).await;
            Ok(())
        }
        .boxed()
    }

    fn send_welcomes(&self, welcomes: Vec<WelcomeInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            self.closing.pass(Point::Committed).await;
            self.network.send_welcomes(welcomes).await
        }
        .boxed()
    }

    fn upload_key_package(&self, key_package: Vec<u8>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.network.upload_key_package(key_package)
    }

    fn fetch_key_packages<'a>(
        &'a self,
        installations: &'a [InstallationId],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, NetworkError>> {
        self.network.fetch_key_packages(installations)
    }

    fn query_group_messages<'a>(
        &'a self,
        group: &'a GroupId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<GroupMessage>, NetworkError>> {
        self.network.query_group_messages(group, after)
    }

    fn query_welcomes<'a>(
        &'a self,
        installation: &'a InstallationId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<Welcome>, NetworkError>> {
        self.network.query_welcomes(installation, after)
    }

    fn newest_group_messages<'a>(
        &'a self,
        groups: &'a [GroupId],
    ) -> BoxFuture<'a, Result<Vec<Option<Newest>>, NetworkError>> {
        self.network.newest_group_messages(groups)
    }

    fn subscribe_group_messages(
        &self,
        filters: Vec<(GroupId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<GroupMessage>, NetworkError>> {
        self.network.subscribe_group_messages(filters)
    }

    fn subscribe_welcomes(
        &self,
        filters: Vec<(InstallationId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<Welcome>, NetworkError>> {
        self.network.subscribe_welcomes(filters)
    }

    fn publish_identity_update(&self, update: IdentityUpdate) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.network.publish_identity_update(update)
    }

    fn identity_updates<'a>(
        &'a self,
        inboxes: &'a [(InboxId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<Vec<LogEntry>>, NetworkError>> {
        self.network.identity_updates(inboxes)
    }

    fn inbox_ids<'a>(
        &'a self,
        identifiers: &'a [Identifier],
    ) -> BoxFuture<'a, Result<Vec<Option<InboxId>>, NetworkError>> {
        self.network.inbox_ids(identifiers)
    }

    fn verify_contract_wallets(
        &self,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'_, Result<Vec<ContractVerdict>, NetworkError>> {
        self.network.verify_contract_wallets(checks)
    }

    fn publish_commit_log(&self, entries: Vec<CommitLogUpload>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.network.publish_commit_log(entries)
    }

    fn query_commit_log<'a>(
        &'a self,
        groups: &'a [(GroupId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<CommitLogPage>, NetworkError>> {
        self.network.query_commit_log(groups)
    }
}
