//! The node as a network for clients in the same process: the same services, without a connection.

use futures::future::BoxFuture;
use subrosa_envelope::{CommitLogUpload, GroupMessage, GroupMessageInput, Welcome, WelcomeInput};
use subrosa_identity::{ChainCheck, Identifier, IdentityUpdate};
use subrosa_transport::{
    CommitLogPage, ContractVerdict, EnvelopeStream, LogEntry, Network, NetworkError, Newest, Page,
};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId};

use crate::Node;

impl Network for Node {
    fn send_group_messages(&self, messages: Vec<GroupMessageInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.network.send_group_messages(messages)
    }

    fn send_welcomes(&self, welcomes: Vec<WelcomeInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.network.send_welcomes(welcomes)
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
