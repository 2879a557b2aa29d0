//! The network behind gRPC (transport §4).

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use futures::{
    StreamExt, TryStreamExt,
    future::{BoxFuture, FutureExt},
    stream,
};
use prost::Message;
use subrosa_envelope::{
    CommitLogUpload, GroupMessage, GroupMessageInput, Welcome, WelcomeInput,
    limits::{
        COMMIT_LOG_ENTRIES_PER_REQUEST, COMMIT_LOG_GROUPS_PER_REQUEST, GRPC_MESSAGE_BYTES, PAGE_ITEMS,
        WELCOMES_PER_REQUEST,
    },
};
use subrosa_identity::{ChainCheck, Identifier, IdentityUpdate};
use subrosa_proto::xmtp::{identity::api::v1 as identity_api, mls::api::v1 as mls_api};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId};
use tonic::{
    body::Body,
    codegen::{Service, StdError, http},
    metadata::{Ascii, MetadataValue},
};
use tower::{ServiceExt, util::BoxCloneSyncService};

use crate::{
    AddressError, CommitLogPage, ConnectOptions, ContractVerdict, EnvelopeStream, LogEntry, Network, NetworkError,
    Newest, Page, RetryPolicy, answer,
    generated::{identity::identity_api_client::IdentityApiClient, mls::mls_api_client::MlsApiClient},
    subscribe,
};

/// Room left in a request for its own framing and headers, in bytes.
const FRAMING: usize = 1024;

/// Requests of one call that run at the same time.
const CONCURRENT_REQUESTS: usize = 8;

/// Most inboxes in one GetIdentityUpdates (transport §4.1).
const INBOXES_PER_REQUEST: usize = 50;

/// Most groups in one GetNewestGroupMessage (transport §4.1).
const GROUPS_PER_REQUEST: usize = 1000;

/// Most installations or identifiers in one question.
const KEYS_PER_REQUEST: usize = 1000;

/// Any service that speaks gRPC: a connection, or a node in this process.
pub type GrpcService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, tonic::Status>;

/// The network behind a gRPC service. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct GrpcNetwork {
    mls: MlsApiClient<GrpcService>,
    identity: IdentityApiClient<GrpcService>,
    retry: Arc<RetryPolicy>,
    app_version: MetadataValue<Ascii>,
    client_version: MetadataValue<Ascii>,
}

impl fmt::Debug for GrpcNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcNetwork").field("retry", &self.retry).finish_non_exhaustive()
    }
}

impl GrpcNetwork {
    /// The node at `url`, with the default options. Connects at the first call; must be called inside a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`AddressError`] when the address cannot be used.
    pub fn connect_lazy(url: &str) -> Result<Self, AddressError> {
        Self::connect_lazy_with(url, &ConnectOptions::default())
    }

    /// The node at `url`. Connects at the first call; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`AddressError`] when the address cannot be used.
    pub fn connect_lazy_with(url: &str, options: &ConnectOptions) -> Result<Self, AddressError> {
        Ok(Self::over(options.endpoint(url)?.connect_lazy(), options))
    }

    /// The node behind `service`, for example one in the same process.
    pub fn over<S>(service: S, options: &ConnectOptions) -> Self
    where
        S: Service<http::Request<Body>, Response = http::Response<Body>> + Clone + Send + Sync + 'static,
        S::Error: Into<StdError>,
        S::Future: Send + 'static,
    {
        let service = GrpcService::new(service.map_err(|error| tonic::Status::from_error(error.into())));
        let mls = MlsApiClient::new(service.clone());
        let identity = IdentityApiClient::new(service);
        Self {
            mls: mls.max_decoding_message_size(GRPC_MESSAGE_BYTES).max_encoding_message_size(GRPC_MESSAGE_BYTES),
            identity: identity
                .max_decoding_message_size(GRPC_MESSAGE_BYTES)
                .max_encoding_message_size(GRPC_MESSAGE_BYTES),
            retry: Arc::new(RetryPolicy::default()),
            app_version: header(&options.app_version),
            client_version: header(&options.client_version),
        }
    }

    /// Replaces the rule by which failed calls are tried again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = Arc::new(retry);
        self
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("x-app-version", self.app_version.clone());
        request.metadata_mut().insert("x-libxmtp-version", self.client_version.clone());
        request
    }

    async fn send_welcome_chunk(&self, messages: Vec<mls_api::WelcomeMessageInput>) -> Result<(), NetworkError> {
        let request = mls_api::SendWelcomeMessagesRequest { messages };
        self.retry
            .run(async || {
                self.mls.clone().send_welcome_messages(self.request(request.clone())).await?;
                Ok(())
            })
            .await
    }

    async fn fetch_key_package_chunk(&self, chunk: &[InstallationId]) -> Result<Vec<Option<Vec<u8>>>, NetworkError> {
        let installation_keys = chunk.iter().map(|id| id.as_bytes().to_vec()).collect();
        let request = mls_api::FetchKeyPackagesRequest { installation_keys };
        let answer = self
            .retry
            .run(async || Ok(self.mls.clone().fetch_key_packages(self.request(request.clone())).await?.into_inner()))
            .await?;
        answer::key_packages(chunk.len(), answer)
    }

    async fn newest_chunk(&self, chunk: &[GroupId]) -> Result<Vec<Option<Newest>>, NetworkError> {
        let group_ids = chunk.iter().map(|id| id.as_bytes().to_vec()).collect();
        let request = mls_api::GetNewestGroupMessageRequest { group_ids, include_content: false };
        let answer = self.mls.clone().get_newest_group_message(self.request(request)).await?.into_inner();
        answer::newest(chunk, answer)
    }

    /// Nodes may answer an inbox that is asked about twice only once, so each is asked about once.
    async fn identity_chunk(&self, chunk: &[(InboxId, SequenceId)]) -> Result<Vec<Vec<LogEntry>>, NetworkError> {
        let mut asked: BTreeMap<InboxId, SequenceId> = BTreeMap::new();
        for (inbox, after) in chunk {
            let smallest = asked.entry(*inbox).or_insert(*after);
            *smallest = (*smallest).min(*after);
        }
        let asked: Vec<_> = asked.into_iter().collect();
        let request = answer::log_request(&asked);
        let answer = self
            .retry
            .run(async || {
                Ok(self.identity.clone().get_identity_updates(self.request(request.clone())).await?.into_inner())
            })
            .await?;
        let logs: BTreeMap<_, _> =
            asked.iter().map(|(inbox, _)| *inbox).zip(answer::identity_updates(&asked, answer)?).collect();
        let log_after = |(inbox, after): &(InboxId, SequenceId)| {
            let entries = logs.get(inbox).into_iter().flatten();
            entries.filter(|entry| entry.sequence > *after).cloned().collect()
        };
        Ok(chunk.iter().map(log_after).collect())
    }

    async fn inbox_chunk(&self, chunk: &[Identifier]) -> Result<Vec<Option<InboxId>>, NetworkError> {
        let requests = chunk.iter().map(answer::inbox_request).collect();
        let request = identity_api::GetInboxIdsRequest { requests };
        let answer = self
            .retry
            .run(async || Ok(self.identity.clone().get_inbox_ids(self.request(request.clone())).await?.into_inner()))
            .await?;
        answer::inbox_ids(chunk.len(), answer)
    }

    async fn commit_log_chunk(&self, chunk: &[(GroupId, SequenceId)]) -> Result<Vec<CommitLogPage>, NetworkError> {
        let requests = chunk
            .iter()
            .map(|(group, after)| mls_api::QueryCommitLogRequest {
                group_id: group.as_bytes().to_vec(),
                paging_info: Some(ascending(*after)),
            })
            .collect();
        let request = mls_api::BatchQueryCommitLogRequest { requests };
        let answer = self.mls.clone().batch_query_commit_log(self.request(request)).await?.into_inner();
        answer::commit_logs(chunk, answer)
    }
}

impl Network for GrpcNetwork {
    fn send_group_messages(&self, messages: Vec<GroupMessageInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            let messages = messages.iter().map(GroupMessageInput::to_proto).collect();
            let request = mls_api::SendGroupMessagesRequest { messages };
            fits(request.encoded_len())?;
            self.retry
                .run(async || {
                    self.mls.clone().send_group_messages(self.request(request.clone())).await?;
                    Ok(())
                })
                .await
        }
        .boxed()
    }

    fn send_welcomes(&self, welcomes: Vec<WelcomeInput>) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            let mut chunks = welcome_chunks(welcomes.iter().map(WelcomeInput::to_proto))?.into_iter();
            // A pointee stands first: stored before the pointers, it is there when the first receiver looks.
            if let Some(first) = chunks.next() {
                self.send_welcome_chunk(first).await?;
            }
            stream::iter(chunks.map(|chunk| self.send_welcome_chunk(chunk)))
                .buffer_unordered(CONCURRENT_REQUESTS)
                .try_collect()
                .await
        }
        .boxed()
    }

    fn upload_key_package(&self, key_package: Vec<u8>) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            let upload = mls_api::KeyPackageUpload { key_package_tls_serialized: key_package };
            let request = mls_api::UploadKeyPackageRequest { key_package: Some(upload), is_inbox_id_credential: true };
            fits(request.encoded_len())?;
            self.retry
                .run(async || {
                    self.mls.clone().upload_key_package(self.request(request.clone())).await?;
                    Ok(())
                })
                .await
        }
        .boxed()
    }

    fn fetch_key_packages<'a>(
        &'a self,
        installations: &'a [InstallationId],
    ) -> BoxFuture<'a, Result<Vec<Option<Vec<u8>>>, NetworkError>> {
        in_chunks(installations, KEYS_PER_REQUEST, |chunk| self.fetch_key_package_chunk(chunk).boxed())
    }

    fn query_group_messages<'a>(
        &'a self,
        group: &'a GroupId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<GroupMessage>, NetworkError>> {
        async move {
            let request = mls_api::QueryGroupMessagesRequest {
                group_id: group.as_bytes().to_vec(),
                paging_info: Some(ascending(after)),
            };
            let answer = self
                .retry
                .run(async || {
                    Ok(self.mls.clone().query_group_messages(self.request(request.clone())).await?.into_inner())
                })
                .await?;
            answer::group_page(group, after, answer)
        }
        .boxed()
    }

    fn query_welcomes<'a>(
        &'a self,
        installation: &'a InstallationId,
        after: SequenceId,
    ) -> BoxFuture<'a, Result<Page<Welcome>, NetworkError>> {
        async move {
            let request = mls_api::QueryWelcomeMessagesRequest {
                installation_key: installation.as_bytes().to_vec(),
                paging_info: Some(ascending(after)),
            };
            let answer = self
                .retry
                .run(async || {
                    Ok(self.mls.clone().query_welcome_messages(self.request(request.clone())).await?.into_inner())
                })
                .await?;
            answer::welcome_page(installation, after, answer)
        }
        .boxed()
    }

    fn newest_group_messages<'a>(
        &'a self,
        groups: &'a [GroupId],
    ) -> BoxFuture<'a, Result<Vec<Option<Newest>>, NetworkError>> {
        in_chunks(groups, GROUPS_PER_REQUEST, |chunk| self.newest_chunk(chunk).boxed())
    }

    fn subscribe_group_messages(
        &self,
        filters: Vec<(GroupId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<GroupMessage>, NetworkError>> {
        async move {
            let request = subscribe::group_request(&filters);
            let stream = self.mls.clone().subscribe_group_messages(self.request(request)).await?.into_inner();
            Ok(subscribe::checked(stream, filters))
        }
        .boxed()
    }

    fn subscribe_welcomes(
        &self,
        filters: Vec<(InstallationId, SequenceId)>,
    ) -> BoxFuture<'_, Result<EnvelopeStream<Welcome>, NetworkError>> {
        async move {
            let request = subscribe::welcome_request(&filters);
            let stream = self.mls.clone().subscribe_welcome_messages(self.request(request)).await?.into_inner();
            Ok(subscribe::checked(stream, filters))
        }
        .boxed()
    }

    fn publish_identity_update(&self, update: IdentityUpdate) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            let request = identity_api::PublishIdentityUpdateRequest { identity_update: Some(update.to_proto()) };
            fits(request.encoded_len())?;
            self.retry
                .run(async || {
                    self.identity.clone().publish_identity_update(self.request(request.clone())).await?;
                    Ok(())
                })
                .await
        }
        .boxed()
    }

    fn identity_updates<'a>(
        &'a self,
        inboxes: &'a [(InboxId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<Vec<LogEntry>>, NetworkError>> {
        in_chunks(inboxes, INBOXES_PER_REQUEST, |chunk| self.identity_chunk(chunk).boxed())
    }

    fn inbox_ids<'a>(
        &'a self,
        identifiers: &'a [Identifier],
    ) -> BoxFuture<'a, Result<Vec<Option<InboxId>>, NetworkError>> {
        in_chunks(identifiers, KEYS_PER_REQUEST, |chunk| self.inbox_chunk(chunk).boxed())
    }

    fn verify_contract_wallets(
        &self,
        checks: Vec<ChainCheck>,
    ) -> BoxFuture<'_, Result<Vec<ContractVerdict>, NetworkError>> {
        async move {
            let asked = checks.len();
            let signatures = checks.into_iter().map(answer::contract_request).collect();
            let request = identity_api::VerifySmartContractWalletSignaturesRequest { signatures };
            fits(request.encoded_len())?;
            let answer = self
                .retry
                .run(async || {
                    let request = self.request(request.clone());
                    Ok(self.identity.clone().verify_smart_contract_wallet_signatures(request).await?.into_inner())
                })
                .await?;
            answer::contract_verdicts(asked, answer)
        }
        .boxed()
    }

    fn publish_commit_log(&self, entries: Vec<CommitLogUpload>) -> BoxFuture<'_, Result<(), NetworkError>> {
        async move {
            for chunk in entries.chunks(COMMIT_LOG_ENTRIES_PER_REQUEST) {
                let requests = chunk.iter().map(CommitLogUpload::to_proto).collect();
                let request = mls_api::BatchPublishCommitLogRequest { requests };
                self.mls.clone().batch_publish_commit_log(self.request(request)).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn query_commit_log<'a>(
        &'a self,
        groups: &'a [(GroupId, SequenceId)],
    ) -> BoxFuture<'a, Result<Vec<CommitLogPage>, NetworkError>> {
        in_chunks(groups, COMMIT_LOG_GROUPS_PER_REQUEST, |chunk| self.commit_log_chunk(chunk).boxed())
    }
}

/// Asks about `items` in several requests at a time and joins the answers in order.
fn in_chunks<'a, Q: Sync, A: Send + 'a>(
    items: &'a [Q],
    size: usize,
    ask: impl Fn(&'a [Q]) -> BoxFuture<'a, Result<Vec<A>, NetworkError>> + Send + Sync + 'a,
) -> BoxFuture<'a, Result<Vec<A>, NetworkError>> {
    async move {
        let ask = &ask;
        let asked: Vec<_> = items.chunks(size).map(|chunk| in_halves(chunk, ask)).collect();
        stream::iter(asked).buffered(CONCURRENT_REQUESTS).try_concat().await
    }
    .boxed()
}

/// Asks about one chunk; about each half of it when the answer is too large for one.
fn in_halves<'b, 'a: 'b, Q: Sync, A: Send + 'a>(
    chunk: &'a [Q],
    ask: &'b (impl Fn(&'a [Q]) -> BoxFuture<'a, Result<Vec<A>, NetworkError>> + Send + Sync),
) -> BoxFuture<'b, Result<Vec<A>, NetworkError>> {
    async move {
        match ask(chunk).await {
            Err(error) if error.is_too_large() && chunk.len() > 1 => {
                let (left, right) = chunk.split_at(chunk.len() / 2);
                let mut answers = in_halves(left, ask).await?;
                answers.extend(in_halves(right, ask).await?);
                Ok(answers)
            }
            answer => answer,
        }
    }
    .boxed()
}

fn ascending(after: SequenceId) -> mls_api::PagingInfo {
    mls_api::PagingInfo { direction: mls_api::SortDirection::Ascending.into(), limit: PAGE_ITEMS, id_cursor: after.0 }
}

fn fits(size: usize) -> Result<(), NetworkError> {
    if size <= GRPC_MESSAGE_BYTES { Ok(()) } else { Err(NetworkError::TooLarge { size, limit: GRPC_MESSAGE_BYTES }) }
}

/// Cuts welcomes into requests of at most 50 items and 25 MiB.
fn welcome_chunks(
    welcomes: impl Iterator<Item = mls_api::WelcomeMessageInput>,
) -> Result<Vec<Vec<mls_api::WelcomeMessageInput>>, NetworkError> {
    let mut chunks = Vec::new();
    let (mut chunk, mut size) = (Vec::new(), FRAMING);
    for welcome in welcomes {
        // A field header and a length of up to five bytes stand before each item.
        let length = welcome.encoded_len() + 6;
        fits(length + FRAMING)?;
        if chunk.len() == WELCOMES_PER_REQUEST || size + length > GRPC_MESSAGE_BYTES {
            chunks.push(std::mem::take(&mut chunk));
            size = FRAMING;
        }
        size += length;
        chunk.push(welcome);
    }
    if !chunk.is_empty() {
        chunks.push(chunk);
    }
    Ok(chunks)
}

/// A header value; what a header cannot carry becomes `?`.
fn header(text: &str) -> MetadataValue<Ascii> {
    let visible: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    MetadataValue::from_str(&visible).unwrap_or_else(|_| MetadataValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use subrosa_proto::xmtp::mls::api::v1::welcome_message_input::{V1, Version};

    use super::*;

    fn welcome(size: usize) -> mls_api::WelcomeMessageInput {
        mls_api::WelcomeMessageInput { version: Some(Version::V1(V1 { data: vec![0; size], ..V1::default() })) }
    }

    #[test]
    fn welcomes_are_cut_by_number_and_by_size() {
        let lengths = |chunks: Vec<Vec<_>>| chunks.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(welcome_chunks((0..101).map(|_| welcome(10))).unwrap()), [50, 50, 1]);
        let large = welcome_chunks((0..5).map(|_| welcome(10 << 20))).unwrap();
        assert!(large.iter().all(|c| c.iter().map(Message::encoded_len).sum::<usize>() <= GRPC_MESSAGE_BYTES));
        assert_eq!(lengths(large), [2, 2, 1]);
        assert!(matches!(
            welcome_chunks([welcome(GRPC_MESSAGE_BYTES)].into_iter()),
            Err(NetworkError::TooLarge { .. })
        ));
        assert!(welcome_chunks(std::iter::empty()).unwrap().is_empty());
    }

    #[test]
    fn header_values_never_fail() {
        assert_eq!(header("app/1.0 \u{e9}\n"), "app/1.0 ??");
        assert_eq!(header(""), "");
    }
}
