//! Standing between a client and its network.

use std::{ops::Deref, sync::Arc};

use futures::future::BoxFuture;
use subrosa_envelope::{CommitLogUpload, GroupMessage, GroupMessageInput, Welcome, WelcomeInput};
use subrosa_identity::{ChainCheck, Identifier, IdentityUpdate};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId};

use crate::{CommitLogPage, ContractVerdict, EnvelopeStream, LogEntry, Network, NetworkError, Newest, Page};

/// Which call is made, with what is asked for. What is sent stays with the sender.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Call<'a> {
    /// [`Network::send_group_messages`].
    SendGroupMessages,
    /// [`Network::send_welcomes`].
    SendWelcomes,
    /// [`Network::upload_key_package`].
    UploadKeyPackage,
    /// [`Network::fetch_key_packages`].
    FetchKeyPackages(&'a [InstallationId]),
    /// [`Network::query_group_messages`].
    QueryGroupMessages(&'a GroupId, SequenceId),
    /// [`Network::query_welcomes`].
    QueryWelcomes(&'a InstallationId, SequenceId),
    /// [`Network::newest_group_messages`].
    NewestGroupMessages(&'a [GroupId]),
    /// [`Network::subscribe_group_messages`].
    SubscribeGroupMessages,
    /// [`Network::subscribe_welcomes`].
    SubscribeWelcomes,
    /// [`Network::publish_identity_update`].
    PublishIdentityUpdate,
    /// [`Network::identity_updates`].
    IdentityUpdates(&'a [(InboxId, SequenceId)]),
    /// [`Network::inbox_ids`].
    InboxIds(&'a [Identifier]),
    /// [`Network::verify_contract_wallets`].
    VerifyContractWallets,
    /// [`Network::publish_commit_log`].
    PublishCommitLog,
    /// [`Network::query_commit_log`].
    QueryCommitLog,
}

/// What is done around each call: it is delayed, counted, refused, or its answer withheld.
pub trait Layer: Send + Sync {
    /// Makes a call, or does not: nothing happens before `work` is polled. By default it is made.
    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        work: BoxFuture<'a, Result<T, NetworkError>>,
    ) -> BoxFuture<'a, Result<T, NetworkError>> {
        let _ = call;
        work
    }

    /// Answers questions about contract wallets; by default the network does. A client that asks chains itself puts
    /// its own answers here (identity §12.3).
    fn contract_wallets<'a>(
        &'a self,
        network: &'a dyn Network,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'a, Result<Vec<ContractVerdict>, NetworkError>> {
        network.verify_contract_wallets(checks)
    }
}

/// A network seen through a layer. It can be used as its layer, to steer and question that.
#[derive(Clone)]
pub struct Layered<L> {
    network: Arc<dyn Network>,
    layer: L,
}

impl<L> Layered<L> {
    /// Puts a layer over a network.
    pub const fn new(network: Arc<dyn Network>, layer: L) -> Self {
        Self { network, layer }
    }
}

impl<L> Deref for Layered<L> {
    type Target = L;

    fn deref(&self) -> &L {
        &self.layer
    }
}

impl<L: Layer> Network for Layered<L> {
    fn send_group_messages(&self, messages: Vec<GroupMessageInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.layer.around(Call::SendGroupMessages, self.network.send_group_messages(messages))
    }

    fn send_welcomes(&self, welcomes: Vec<WelcomeInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.layer.around(Call::SendWelcomes, self.network.send_welcomes(welcomes))
    }

    fn upload_key_package(&self, key_package: Vec<u8>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.layer.around(Call::UploadKeyPackage, self.network.upload_key_package(key_package))
    }

    fn fetch_key_packages<'a>(
        &'a self,
        installations: &'a [InstallationId],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, NetworkError>> {
        self.layer.around(Call::FetchKeyPackages(installations), self.network.fetch_key_packages(installations))
    }

    fn query_group_messages<'a>(
        &'a self,
        group: &'a GroupId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<GroupMessage>, NetworkError>> {
        self.layer.around(Call::QueryGroupMessages(group, after), self.network.query_group_messages(group, after))
    }

    fn query_welcomes<'a>(
        &'a self,
        installation: &'a InstallationId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<Welcome>, NetworkError>> {
        self.layer.around(Call::QueryWelcomes(installation, after), self.network.query_welcomes(installation, after))
    }

    fn newest_group_messages<'a>(
        &'a self,
        groups: &'a [GroupId],
    ) -> BoxFuture<'a, Result<Vec<Option<Newest>>, NetworkError>> {
        self.layer.around(Call::NewestGroupMessages(groups), self.network.newest_group_messages(groups))
    }

    fn subscribe_group_messages(
        &self,
        filters: Vec<(GroupId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<GroupMessage>, NetworkError>> {
        self.layer.around(Call::SubscribeGroupMessages, self.network.subscribe_group_messages(filters))
    }

    fn subscribe_welcomes(
        &self,
        filters: Vec<(InstallationId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<Welcome>, NetworkError>> {
        self.layer.around(Call::SubscribeWelcomes, self.network.subscribe_welcomes(filters))
    }

    fn publish_identity_update(&self, update: IdentityUpdate) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.layer.around(Call::PublishIdentityUpdate, self.network.publish_identity_update(update))
    }

    fn identity_updates<'a>(
        &'a self,
        inboxes: &'a [(InboxId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<Vec<LogEntry>>, NetworkError>> {
        self.layer.around(Call::IdentityUpdates(inboxes), self.network.identity_updates(inboxes))
    }

    fn inbox_ids<'a>(
        &'a self,
        identifiers: &'a [Identifier],
    ) -> BoxFuture<'a, Result<Vec<Option<InboxId>>, NetworkError>> {
        self.layer.around(Call::InboxIds(identifiers), self.network.inbox_ids(identifiers))
    }

    fn verify_contract_wallets(
        &self,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'_, Result<Vec<ContractVerdict>, NetworkError>> {
        let work = self.layer.contract_wallets(&*self.network, checks);
        self.layer.around(Call::VerifyContractWallets, work)
    }

    fn publish_commit_log(&self, entries: Vec<CommitLogUpload>) -> BoxFuture<'_, Result<(), NetworkError>> {
        self.layer.around(Call::PublishCommitLog, self.network.publish_commit_log(entries))
    }

    fn query_commit_log<'a>(
        &'a self,
        groups: &'a [(GroupId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<CommitLogPage>, NetworkError>> {
        self.layer.around(Call::QueryCommitLog, self.network.query_commit_log(groups))
    }
}
