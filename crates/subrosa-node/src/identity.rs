//! The methods of IdentityApi (transport §4.6).

use std::sync::Arc;

use prost::Message;
use subrosa_proto::xmtp::identity::{api::v1 as api, associations::IdentityUpdate};
use subrosa_types::hex;
use tonic::{Request, Response, Status};

use crate::{
    check::ANSWER_LIMIT,
    generated::identity::identity_api_server::IdentityApi,
    mls::{at_most, position},
    node::Shared,
    status::read_failed,
    store::{LogRow, query},
};

/// Most questions in one request.
const QUESTIONS: usize = 10_000;

/// The service.
#[derive(Clone)]
pub(crate) struct IdentityService(pub(crate) Arc<Shared>);

#[tonic::async_trait]
impl IdentityApi for IdentityService {
    async fn publish_identity_update(
        &self,
        request: Request<api::PublishIdentityUpdateRequest>,
    ) -> Result<Response<api::PublishIdentityUpdateResponse>, Status> {
        let update = request.into_inner().identity_update;
        let update = update.ok_or_else(|| Status::invalid_argument("no identity update"))?;
        self.0.directory.publish(&self.0.store, &self.0.chains, update).await?;
        Ok(Response::new(api::PublishIdentityUpdateResponse {}))
    }

    async fn get_identity_updates(
        &self,
        request: Request<api::GetIdentityUpdatesRequest>,
    ) -> Result<Response<api::GetIdentityUpdatesResponse>, Status> {
        let requests = request.into_inner().requests;
        at_most(QUESTIONS, requests.len())?;
        let questions = requests.into_iter().map(Question::read).collect::<Result<Vec<_>, _>>()?;
        let responses = self
            .0
            .store
            .read(move |connection| questions.into_iter().map(|question| question.answer(connection)).collect())
            .await
            .map_err(|error| read_failed(&error))?;
        let answer = api::GetIdentityUpdatesResponse { responses };
        // Every answer is complete (N19), so a request for too many large logs has none.
        if answer.encoded_len() > ANSWER_LIMIT {
            return Err(Status::out_of_range("too many identity updates for one answer; ask for fewer inboxes"));
        }
        Ok(Response::new(answer))
    }

    async fn get_inbox_ids(
        &self,
        request: Request<api::GetInboxIdsRequest>,
    ) -> Result<Response<api::GetInboxIdsResponse>, Status> {
        let requests = request.into_inner().requests;
        at_most(QUESTIONS, requests.len())?;
        let ask = |connection: &mut _, request: api::get_inbox_ids_request::Request| {
            let kind = (request.identifier_kind != 0).then_some(request.identifier_kind);
            let inbox = query::inbox_of(connection, kind, &request.identifier)?;
            Ok(api::get_inbox_ids_response::Response {
                inbox_id: inbox.map(|inbox| hex::encode(&inbox)),
                identifier: request.identifier,
                identifier_kind: request.identifier_kind,
            })
        };
        let responses = self
            .0
            .store
            .read(move |connection| requests.into_iter().map(|request| ask(connection, request)).collect())
            .await
            .map_err(|error| read_failed(&error))?;
        Ok(Response::new(api::GetInboxIdsResponse { responses }))
    }

    async fn verify_smart_contract_wallet_signatures(
        &self,
        request: Request<api::VerifySmartContractWalletSignaturesRequest>,
    ) -> Result<Response<api::VerifySmartContractWalletSignaturesResponse>, Status> {
        self.0.chains.verify(request.into_inner()).await.map(Response::new)
    }
}

/// One inbox that is asked about.
struct Question {
    /// Echoed exactly as asked (N18).
    text: String,
    inbox: Vec<u8>,
    after: i64,
}

impl Question {
    fn read(request: api::get_identity_updates_request::Request) -> Result<Self, Status> {
        let inbox = hex::decode(&request.inbox_id).ok_or_else(|| Status::invalid_argument("invalid inbox id"))?;
        Ok(Self { text: request.inbox_id, inbox, after: position(request.sequence_id) })
    }

    fn answer(
        self,
        connection: &mut diesel::SqliteConnection,
    ) -> diesel::QueryResult<api::get_identity_updates_response::Response> {
        let rows = query::inbox_log(connection, &self.inbox, self.after)?;
        let updates = rows.into_iter().map(entry).collect();
        Ok(api::get_identity_updates_response::Response { inbox_id: self.text, updates })
    }
}

fn entry(row: LogRow) -> api::get_identity_updates_response::IdentityUpdateLog {
    api::get_identity_updates_response::IdentityUpdateLog {
        sequence_id: row.id.cast_unsigned(),
        server_timestamp_ns: row.server_ns.cast_unsigned(),
        // It was decoded before it was stored.
        update: IdentityUpdate::decode(&row.data[..]).ok(),
    }
}
