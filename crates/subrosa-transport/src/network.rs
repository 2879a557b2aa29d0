//! What a client asks of the network.

use futures::{future::BoxFuture, stream::BoxStream};
use subrosa_envelope::{CommitLogItem, CommitLogUpload, GroupMessage, GroupMessageInput, Welcome, WelcomeInput};
use subrosa_identity::{ChainCheck, Identifier, IdentityUpdate, Verdict};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId, UnixNanos};

use crate::{NetworkError, NodeMessage};

/// One item of an answer: its position, and what it holds.
#[derive(Clone, Debug)]
pub struct Received<T> {
    /// Position in the log of its topic, never 0.
    pub sequence: SequenceId,
    /// The item; an error for one that does not decode, which a client skips and passes (envelopes §8).
    pub item: Result<T, subrosa_envelope::DecodeError>,
}

/// One page of a query, ascending by position.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<Received<T>>,
    /// Whether asking again from the last item is worth it (transport §4.3).
    pub more: bool,
}

impl<T> Page<T> {
    /// Position of the last item: where the next page starts.
    #[must_use]
    pub fn last(&self) -> Option<SequenceId> {
        self.items.last().map(|received| received.sequence)
    }
}

/// The newest message of a group, without its content (transport §4.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Newest {
    /// Its position.
    pub sequence: SequenceId,
    /// When the node stored it.
    pub created: UnixNanos,
    /// Whether the node says that it is a commit: a hint.
    pub is_commit: bool,
}

/// One entry of an inbox log (transport §4.6).
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Position in the log, ascending within the inbox.
    pub sequence: SequenceId,
    /// When the node stored it.
    pub server_time: UnixNanos,
    /// The update, not verified.
    pub update: Result<IdentityUpdate, subrosa_identity::DecodeError>,
    /// The serialised update, for storage.
    pub bytes: Vec<u8>,
}

/// What a node says about a signature of a contract wallet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ContractVerdict {
    /// Whether the contract accepts the signature; unknown when the node could not ask it.
    pub verdict: Verdict,
    /// The block that was used.
    pub block: Option<u64>,
    /// Why it could not be judged.
    pub error: Option<NodeMessage>,
}

/// A page of a commit log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CommitLogPage {
    /// The entries, ascending by position, not verified.
    pub items: Vec<CommitLogItem>,
    /// Whether asking again from the last item is worth it.
    pub more: bool,
}

/// A subscription. It ends only with an error, or when it is dropped (transport §4.8).
pub type EnvelopeStream<T> = BoxStream<'static, Result<Received<T>, NetworkError>>;

/// One method for each call of the network (transport §4.1). Order of answers is the order of questions.
///
/// # Errors
/// Every method fails with [`NetworkError`]; [`NetworkError::is_refusal`] tells whether a write can still have
/// happened.
pub trait Network: Send + Sync {
    /// Stores messages, in this order, all or none. A repetition is stored once (transport §4.2).
    fn send_group_messages(&self, messages: Vec<GroupMessageInput>) -> BoxFuture<'_, Result<(), NetworkError>>;

    /// Stores welcomes, in no particular order, in requests of at most 50 welcomes (envelopes §4.2). After an error
    /// some may be stored; a repetition is stored once.
    fn send_welcomes(&self, welcomes: Vec<WelcomeInput>) -> BoxFuture<'_, Result<(), NetworkError>>;

    /// Replaces the key package of the installation that is its leaf signature key (transport §4.5).
    fn upload_key_package(&self, key_package: Vec<u8>) -> BoxFuture<'_, Result<(), NetworkError>>;

    /// The current key packages, not validated; `None` where the node has none.
    fn fetch_key_packages<'a>(
        &'a self,
        installations: &'a [InstallationId],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, NetworkError>>;

    /// One page of a group's messages after a position (transport §4.3).
    fn query_group_messages<'a>(
        &'a self,
        group: &'a GroupId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<GroupMessage>, NetworkError>>;

    /// One page of an installation's welcomes after a position (transport §4.3).
    fn query_welcomes<'a>(
        &'a self,
        installation: &'a InstallationId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<Welcome>, NetworkError>>;

    /// The newest message of each group; `None` where there is none (transport §4.7).
    fn newest_group_messages<'a>(
        &'a self,
        groups: &'a [GroupId],
    ) -> BoxFuture<'a, Result<Vec<Option<Newest>>, NetworkError>>;

    /// Messages of these groups after these positions, then those to come; ascending per group (transport §4.8).
    fn subscribe_group_messages(
        &self,
        filters: Vec<(GroupId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<GroupMessage>, NetworkError>>;

    /// Welcomes of these installations after these positions, then those to come (transport §4.8).
    fn subscribe_welcomes(
        &self,
        filters: Vec<(InstallationId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<Welcome>, NetworkError>>;

    /// Appends an update to the log of its inbox; the node verifies it (transport §4.6).
    fn publish_identity_update(&self, update: IdentityUpdate) -> BoxFuture<'_, Result<(), NetworkError>>;

    /// What was appended to each inbox log after a position, complete.
    fn identity_updates<'a>(
        &'a self,
        inboxes: &'a [(InboxId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<Vec<LogEntry>>, NetworkError>>;

    /// The inbox each identifier belongs to now (transport §4.6).
    fn inbox_ids<'a>(
        &'a self,
        identifiers: &'a [Identifier],
    ) -> BoxFuture<'a, Result<Vec<Option<InboxId>>, NetworkError>>;

    /// What the node says about signatures of contract wallets.
    fn verify_contract_wallets(
        &self,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'_, Result<Vec<ContractVerdict>, NetworkError>>;

    /// Appends to commit logs, in requests of at most 10 entries (transport §4.7). After an error some may be stored;
    /// repetitions are stored again.
    fn publish_commit_log(&self, entries: Vec<CommitLogUpload>) -> BoxFuture<'_, Result<(), NetworkError>>;

    /// One page of each commit log after a position.
    fn query_commit_log<'a>(
        &'a self,
        groups: &'a [(GroupId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<CommitLogPage>, NetworkError>>;
}
