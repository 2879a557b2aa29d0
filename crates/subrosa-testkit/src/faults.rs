//! A network that fails in a chosen place.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use futures::future::BoxFuture;
use subrosa::{GroupId, InboxId, InstallationId, Network, NetworkError};
use subrosa_envelope::{CommitLogUpload, GroupMessage, GroupMessageInput, Welcome, WelcomeInput};
use subrosa_identity::{ChainCheck, Identifier, IdentityUpdate};
use subrosa_transport::{CommitLogPage, ContractVerdict, EnvelopeStream, LogEntry, Newest, Page};
use subrosa_types::SequenceId;

/// How a call fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The request never reaches the node.
    BeforeSending,
    /// The node does it, and the answer is lost.
    ReplyLost,
    /// The node refuses the bytes for good.
    Refused,
    /// The node does it, and the answer never comes.
    Hangs,
}

/// A network over another one, with faults.
pub struct Faults {
    inner: Arc<dyn Network>,
    /// The kind of call that fails, how, and how often.
    plan: Mutex<Vec<(Call, Fault, u32)>>,
    calls: AtomicU64,
}

/// The calls that tests make fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Call {
    SendMessages,
    SendWelcomes,
    Query,
    Identity,
    Publish,
    Upload,
}

impl Faults {
    /// A network without faults.
    pub fn over(inner: Arc<dyn Network>) -> Self {
        Self { inner, plan: Mutex::default(), calls: AtomicU64::new(0) }
    }

    /// The next `times` sendings of messages fail.
    pub fn fail_messages(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Call::SendMessages, fault, times));
    }

    /// The next `times` sendings of welcomes fail.
    pub fn fail_welcomes(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Call::SendWelcomes, fault, times));
    }

    /// The next `times` queries of groups or welcomes fail.
    pub fn fail_queries(&self, times: u32) {
        self.plan.lock().expect("not poisoned").push((Call::Query, Fault::BeforeSending, times));
    }

    /// The next `times` questions about identity logs fail.
    pub fn fail_identity(&self, times: u32) {
        self.plan.lock().expect("not poisoned").push((Call::Identity, Fault::BeforeSending, times));
    }

    /// The next `times` publications of identity updates fail.
    pub fn fail_publications(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Call::Publish, fault, times));
    }

    /// The next `times` uploads of key packages fail.
    pub fn fail_uploads(&self, fault: Fault, times: u32) {
        self.plan.lock().expect("not poisoned").push((Call::Upload, fault, times));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.plan.lock().expect("not poisoned").clear();
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn next(&self, call: Call) -> Option<Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut plan = self.plan.lock().expect("not poisoned");
        let entry = plan.iter_mut().find(|(kind, _, times)| *kind == call && *times > 0)?;
        entry.2 -= 1;
        Some(entry.1)
    }

    async fn guarded<T>(&self, call: Call, work: BoxFuture<'_, Result<T, NetworkError>>) -> Result<T, NetworkError> {
        match self.next(call) {
            None => work.await,
            Some(Fault::BeforeSending) => Err(unreachable()),
            Some(Fault::Refused) => Err(refused()),
            Some(Fault::ReplyLost) => {
                work.await?;
                Err(unreachable())
            }
            Some(Fault::Hangs) => {
                work.await?;
                std::future::pending().await
            }
        }
    }
}

fn unreachable() -> NetworkError {
    tonic::Status::unavailable("a fault of the test").into()
}

fn refused() -> NetworkError {
    tonic::Status::invalid_argument("a refusal of the test").into()
}

impl Network for Faults {
    fn send_group_messages(&self, messages: Vec<GroupMessageInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        Box::pin(self.guarded(Call::SendMessages, self.inner.send_group_messages(messages)))
    }

    fn send_welcomes(&self, welcomes: Vec<WelcomeInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        Box::pin(self.guarded(Call::SendWelcomes, self.inner.send_welcomes(welcomes)))
    }

    fn upload_key_package(&self, key_package: Vec<u8>) -> BoxFuture<'_, Result<(), NetworkError>> {
        Box::pin(self.guarded(Call::Upload, self.inner.upload_key_package(key_package)))
    }

    fn fetch_key_packages<'a>(
        &'a self,
        installations: &'a [InstallationId],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, NetworkError>> {
        self.inner.fetch_key_packages(installations)
    }

    fn query_group_messages<'a>(
        &'a self,
        group: &'a GroupId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<GroupMessage>, NetworkError>> {
        Box::pin(self.guarded(Call::Query, self.inner.query_group_messages(group, after)))
    }

    fn query_welcomes<'a>(
        &'a self,
        installation: &'a InstallationId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<Welcome>, NetworkError>> {
        Box::pin(self.guarded(Call::Query, self.inner.query_welcomes(installation, after)))
    }

    fn newest_group_messages<'a>(
        &'a self,
        groups: &'a [GroupId],
    ) -> BoxFuture<'a, Result<Vec<Option<Newest>>, NetworkError>> {
        self.inner.newest_group_messages(groups)
    }

    fn subscribe_group_messages(
        &self,
        filters: Vec<(GroupId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<GroupMessage>, NetworkError>> {
        self.inner.subscribe_group_messages(filters)
    }

    fn subscribe_welcomes(
        &self,
        filters: Vec<(InstallationId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<Welcome>, NetworkError>> {
        self.inner.subscribe_welcomes(filters)
    }

    fn publish_identity_update(&self, update: IdentityUpdate) -> BoxFuture<'_, Result<(), NetworkError>> {
        Box::pin(self.guarded(Call::Publish, self.inner.publish_identity_update(update)))
    }

    fn identity_updates<'a>(
        &'a self,
        inboxes: &'a [(InboxId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<Vec<LogEntry>>, NetworkError>> {
        Box::pin(self.guarded(Call::Identity, self.inner.identity_updates(inboxes)))
    }

    fn inbox_ids<'a>(
        &'a self,
        identifiers: &'a [Identifier],
    ) -> BoxFuture<'a, Result<Vec<Option<InboxId>>, NetworkError>> {
        self.inner.inbox_ids(identifiers)
    }

    fn verify_contract_wallets(
        &self,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'_, Result<Vec<ContractVerdict>, NetworkError>> {
        self.inner.verify_contract_wallets(checks)
    }

    fn publish_commit_log(&self, entries: Vec<CommitLogUpload>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.inner.publish_commit_log(entries)
    }

    fn query_commit_log<'a>(
        &'a self,
        groups: &'a [(GroupId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<CommitLogPage>, NetworkError>> {
        self.inner.query_commit_log(groups)
    }
}
