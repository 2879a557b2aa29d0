//! The methods of MlsApi (transport §4).

use std::sync::Arc;

use futures::stream::BoxStream;
use subrosa_group::VerifiedKeyPackage;
use subrosa_proto::xmtp::mls::api::v1 as api;
use tonic::{Request, Response, Status};

use crate::{
    check::{self, ANSWER_LIMIT, KEY_PACKAGE_LIMIT},
    feed,
    generated::mls::mls_api_server::MlsApi,
    node::Shared,
    status::{append_failed, read_failed},
    store::{Append, Cut, Slice, query},
};

/// Largest page, and the size of a page when none is given (transport §4.3).
const PAGE: u32 = 100;

/// Room in an answer for paging, in bytes.
const FRAMING: usize = 1024;

/// Most groups in one BatchQueryCommitLog (transport §4.7).
const LOGS: usize = 20;

/// Most questions in one request that asks about many topics.
const QUESTIONS: usize = 100_000;

/// The service.
#[derive(Clone)]
pub(crate) struct MlsService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl MlsApi for MlsService {
    async fn send_group_messages(
        &self,
        request: Request<api::SendGroupMessagesRequest>,
    ) -> Result<Response<()>, Status> {
        let messages = check::group_messages(request.into_inner())?;
        self.append(Append::GroupMessages(messages)).await
    }

    async fn send_welcome_messages(
        &self,
        request: Request<api::SendWelcomeMessagesRequest>,
    ) -> Result<Response<()>, Status> {
        let welcomes = check::welcomes(request.into_inner())?;
        self.append(Append::Welcomes(welcomes)).await
    }

    async fn upload_key_package(&self, request: Request<api::UploadKeyPackageRequest>) -> Result<Response<()>, Status> {
        let upload = request.into_inner().key_package.unwrap_or_default();
        let data = upload.key_package_tls_serialized;
        if data.is_empty() {
            return Err(Status::invalid_argument("no key package"));
        }
        if data.len() > KEY_PACKAGE_LIMIT {
            return Err(Status::invalid_argument("key package too large"));
        }
        let now = self.0.clock.now();
        let judge = move || (VerifiedKeyPackage::verify(&data, now).map(|package| package.installation()), data);
        let (installation, data) = self.0.store.compute(judge).await.map_err(|error| read_failed(&error))?;
        let installation =
            installation.map_err(|error| Status::invalid_argument(format!("invalid identity: {error}")))?;
        self.append(Append::KeyPackage { installation, data }).await
    }

    async fn fetch_key_packages(
        &self,
        request: Request<api::FetchKeyPackagesRequest>,
    ) -> Result<Response<api::FetchKeyPackagesResponse>, Status> {
        let keys = request.into_inner().installation_keys;
        at_most(QUESTIONS, keys.len())?;
        let found = self
            .0
            .store
            .read(move |connection| {
                keys.iter().map(|key| query::key_package(connection, key)).collect::<Result<Vec<_>, _>>()
            })
            .await
            .map_err(|error| read_failed(&error))?;
        let entry = |data: Option<Vec<u8>>| api::fetch_key_packages_response::KeyPackage {
            key_package_tls_serialized: data.unwrap_or_default(),
        };
        Ok(Response::new(api::FetchKeyPackagesResponse { key_packages: found.into_iter().map(entry).collect() }))
    }

    async fn query_group_messages(
        &self,
        request: Request<api::QueryGroupMessagesRequest>,
    ) -> Result<Response<api::QueryGroupMessagesResponse>, Status> {
        let request = request.into_inner();
        if request.group_id.is_empty() {
            return Err(Status::invalid_argument("group is required"));
        }
        let paging = Paging::read(request.paging_info.as_ref(), Direction::Descending);
        let slice = paging.slice(ANSWER_LIMIT - FRAMING);
        let page = self
            .0
            .store
            .read(move |connection| query::group_messages(connection, &request.group_id, slice))
            .await
            .map_err(|error| read_failed(&error))?;
        let paging_info = Some(paging.answer(&page, |message| message.version.as_ref().map_or(0, group_message_id)));
        Ok(Response::new(api::QueryGroupMessagesResponse { messages: page.items, paging_info }))
    }

    async fn query_welcome_messages(
        &self,
        request: Request<api::QueryWelcomeMessagesRequest>,
    ) -> Result<Response<api::QueryWelcomeMessagesResponse>, Status> {
        let request = request.into_inner();
        if request.installation_key.is_empty() {
            return Err(Status::invalid_argument("installation is required"));
        }
        let paging = Paging::read(request.paging_info.as_ref(), Direction::Descending);
        let slice = paging.slice(ANSWER_LIMIT - FRAMING);
        let page = self
            .0
            .store
            .read(move |connection| query::welcomes(connection, &request.installation_key, slice))
            .await
            .map_err(|error| read_failed(&error))?;
        let paging_info = Some(paging.answer(&page, |welcome| welcome.version.as_ref().map_or(0, welcome_id)));
        Ok(Response::new(api::QueryWelcomeMessagesResponse { messages: page.items, paging_info }))
    }

    type SubscribeGroupMessagesStream = BoxStream<'static, Result<api::GroupMessage, Status>>;

    async fn subscribe_group_messages(
        &self,
        request: Request<api::SubscribeGroupMessagesRequest>,
    ) -> Result<Response<Self::SubscribeGroupMessagesStream>, Status> {
        let filters = request.into_inner().filters;
        if filters.iter().any(|filter| filter.group_id.is_empty()) {
            return Ok(refused_stream("group is required"));
        }
        let filters = filters.into_iter().map(|filter| (filter.group_id, position(filter.id_cursor))).collect();
        Ok(Response::new(self.feed(filters, |shared| &shared.hubs.messages)))
    }

    type SubscribeWelcomeMessagesStream = BoxStream<'static, Result<api::WelcomeMessage, Status>>;

    async fn subscribe_welcome_messages(
        &self,
        request: Request<api::SubscribeWelcomeMessagesRequest>,
    ) -> Result<Response<Self::SubscribeWelcomeMessagesStream>, Status> {
        let filters = request.into_inner().filters;
        if filters.is_empty() || filters.iter().any(|filter| filter.installation_key.is_empty()) {
            return Ok(refused_stream("no valid filters provided"));
        }
        let filters = filters.into_iter().map(|filter| (filter.installation_key, position(filter.id_cursor))).collect();
        Ok(Response::new(self.feed(filters, |shared| &shared.hubs.welcomes)))
    }

    async fn batch_publish_commit_log(
        &self,
        request: Request<api::BatchPublishCommitLogRequest>,
    ) -> Result<Response<()>, Status> {
        let entries = check::commit_log(request.into_inner())?;
        self.append(Append::CommitLog(entries)).await
    }

    async fn batch_query_commit_log(
        &self,
        request: Request<api::BatchQueryCommitLogRequest>,
    ) -> Result<Response<api::BatchQueryCommitLogResponse>, Status> {
        let requests = request.into_inner().requests;
        if requests.is_empty() || requests.len() > LOGS {
            return Err(Status::invalid_argument("1 to 20 commit logs are expected"));
        }
        let mut questions = Vec::with_capacity(requests.len());
        for request in requests {
            let paging = Paging::read(request.paging_info.as_ref(), Direction::Ascending);
            if request.group_id.is_empty() || paging.direction == Direction::Descending {
                return Err(Status::invalid_argument("invalid commit log query"));
            }
            questions.push((request.group_id, paging));
        }
        let responses = self
            .0
            .store
            .read(move |connection| query_commit_logs(connection, questions))
            .await
            .map_err(|error| read_failed(&error))?;
        Ok(Response::new(api::BatchQueryCommitLogResponse { responses }))
    }

    async fn get_newest_group_message(
        &self,
        request: Request<api::GetNewestGroupMessageRequest>,
    ) -> Result<Response<api::GetNewestGroupMessageResponse>, Status> {
        let api::GetNewestGroupMessageRequest { group_ids, include_content } = request.into_inner();
        if group_ids.is_empty() {
            return Err(Status::invalid_argument("no group ids provided"));
        }
        at_most(QUESTIONS, group_ids.len())?;
        let newest = self
            .0
            .store
            .read(move |connection| {
                let ask = |group: &Vec<u8>| query::newest_group_message(connection, group, include_content);
                group_ids.iter().map(ask).collect::<Result<Vec<_>, _>>()
            })
            .await
            .map_err(|error| read_failed(&error))?;
        let response = |group_message| api::get_newest_group_message_response::Response { group_message };
        Ok(Response::new(api::GetNewestGroupMessageResponse { responses: newest.into_iter().map(response).collect() }))
    }
}

impl MlsService {
    async fn append(&self, append: Append) -> Result<Response<()>, Status> {
        self.0.store.append(append).await.map_err(append_failed)?;
        Ok(Response::new(()))
    }

    fn feed<T: feed::Stored>(
        &self,
        filters: Vec<(Vec<u8>, i64)>,
        hub: impl Fn(&Shared) -> &Arc<crate::hub::Hub<T>>,
    ) -> BoxStream<'static, Result<T, Status>> {
        feed::open(Arc::clone(&self.0.store), hub(&self.0), filters, self.0.subscription_backlog)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    Ascending,
    Descending,
}

/// A page as it was asked for, with the defaults filled in (transport §4.3).
#[derive(Clone, Copy, Debug)]
struct Paging {
    direction: Direction,
    limit: u32,
    cursor: i64,
}

impl Paging {
    fn read(asked: Option<&api::PagingInfo>, default: Direction) -> Self {
        let asked = asked.copied().unwrap_or_default();
        let direction = match api::SortDirection::try_from(asked.direction) {
            Ok(api::SortDirection::Ascending) => Direction::Ascending,
            Ok(api::SortDirection::Descending) => Direction::Descending,
            Ok(api::SortDirection::Unspecified) | Err(_) => default,
        };
        let limit = if asked.limit == 0 { PAGE } else { asked.limit.min(PAGE) };
        Self { direction, limit, cursor: position(asked.id_cursor) }
    }

    fn slice(&self, bytes: usize) -> Slice {
        Slice {
            descending: self.direction == Direction::Descending,
            cursor: self.cursor,
            limit: self.limit as usize,
            bytes,
        }
    }

    /// What the answer says about itself: the id of the last item if the page is full, else 0 (N16, N17).
    fn answer<T>(&self, page: &Cut<T>, id: impl Fn(&T) -> u64) -> api::PagingInfo {
        let direction = match self.direction {
            Direction::Ascending => api::SortDirection::Ascending,
            Direction::Descending => api::SortDirection::Descending,
        };
        let is_full = !page.is_cut && page.items.len() == self.limit as usize;
        let id_cursor = if is_full { page.items.last().map_or(0, id) } else { 0 };
        api::PagingInfo { direction: direction.into(), limit: self.limit, id_cursor }
    }
}

fn query_commit_logs(
    connection: &mut diesel::SqliteConnection,
    questions: Vec<(Vec<u8>, Paging)>,
) -> diesel::QueryResult<Vec<api::QueryCommitLogResponse>> {
    let share = (ANSWER_LIMIT - FRAMING) / questions.len().max(1) - FRAMING;
    let one = |(group_id, paging): (Vec<u8>, Paging)| {
        let page = query::commit_log(connection, &group_id, paging.slice(share))?;
        let paging_info = Some(paging.answer(&page, |entry| entry.sequence_id));
        Ok(api::QueryCommitLogResponse { group_id, commit_log_entries: page.items, paging_info })
    };
    questions.into_iter().map(one).collect()
}

fn group_message_id(version: &api::group_message::Version) -> u64 {
    let api::group_message::Version::V1(v1) = version;
    v1.id
}

fn welcome_id(version: &api::welcome_message::Version) -> u64 {
    match version {
        api::welcome_message::Version::V1(v1) => v1.id,
        api::welcome_message::Version::WelcomePointer(pointer) => pointer.id,
    }
}

/// A position as the database has it; nothing is stored above the largest.
pub(crate) fn position(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Refuses after the headers, as clients of streams expect (transport §12).
fn refused_stream<T: Send + 'static>(reason: &'static str) -> Response<BoxStream<'static, Result<T, Status>>> {
    Response::new(Box::pin(futures::stream::once(async move { Err(Status::invalid_argument(reason)) })))
}

/// Bounds the work of one request.
pub(crate) fn at_most(most: usize, asked: usize) -> Result<(), Status> {
    if asked <= most { Ok(()) } else { Err(Status::resource_exhausted("too many questions in one request")) }
}
