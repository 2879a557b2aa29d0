//! Questions as messages, and what is checked of every answer before anybody sees it (sync §3.8).

use prost::Message;
use subrosa_envelope::{CommitLogItem, GroupMessage, Welcome, limits};
use subrosa_identity::{ChainCheck, Identifier, IdentityUpdate, Verdict};
use subrosa_proto::xmtp::{
    identity::{api::v1 as identity_api, associations::IdentifierKind},
    mls::{api::v1 as mls_api, message_contents},
};
use subrosa_types::{GroupId, InboxId, InstallationId, SequenceId, UnixNanos};

use crate::{BadAnswer, CommitLogPage, ContractVerdict, LogEntry, Newest, NodeMessage, Page, Received};

/// Checks that positions ascend from a start.
pub(crate) struct Ascent(SequenceId);

impl Ascent {
    pub(crate) const fn from(after: SequenceId) -> Self {
        Self(after)
    }

    /// Takes the next position.
    pub(crate) fn next(&mut self, id: u64) -> Result<SequenceId, BadAnswer> {
        let got = SequenceId(id);
        if !got.is_item() {
            return Err(BadAnswer::Position(id));
        }
        if got <= self.0 {
            return Err(BadAnswer::Order { after: self.0, got });
        }
        self.0 = got;
        Ok(got)
    }
}

fn same_count(asked: usize, got: usize) -> Result<(), BadAnswer> {
    if asked == got { Ok(()) } else { Err(BadAnswer::Count { asked, got }) }
}

/// Whether the next page is worth a call (transport §4.3). The cursor that the node names is not used.
fn has_more(count: usize, paging: Option<&mls_api::PagingInfo>) -> bool {
    count >= limits::PAGE_ITEMS as usize && paging.is_some_and(|paging| paging.id_cursor != 0)
}

/// A group message as the network delivers it; `None` for one without a version, which has no position either
/// (envelopes §8, E1).
pub(crate) fn group_message(
    message: mls_api::GroupMessage,
) -> Option<(u64, Result<GroupMessage, subrosa_envelope::DecodeError>)> {
    let mls_api::group_message::Version::V1(v1) = message.version?;
    Some((v1.id, GroupMessage::from_v1(v1)))
}

/// A welcome as the network delivers it; `None` for one without a version.
pub(crate) fn welcome(
    message: mls_api::WelcomeMessage,
) -> Option<(u64, Result<Welcome, subrosa_envelope::DecodeError>)> {
    let id = match message.version.as_ref()? {
        mls_api::welcome_message::Version::V1(v1) => v1.id,
        mls_api::welcome_message::Version::WelcomePointer(pointer) => pointer.id,
    };
    Some((id, Welcome::from_proto(message)))
}

pub(crate) fn group_page(
    group: &GroupId,
    after: SequenceId,
    answer: mls_api::QueryGroupMessagesResponse,
) -> Result<Page<GroupMessage>, crate::NetworkError> {
    let more = has_more(answer.messages.len(), answer.paging_info.as_ref());
    let mut ascent = Ascent::from(after);
    let mut items = Vec::with_capacity(answer.messages.len());
    for (id, item) in answer.messages.into_iter().filter_map(group_message) {
        let sequence = ascent.next(id)?;
        if item.as_ref().is_ok_and(|message| message.group_id() != group) {
            return Err(BadAnswer::Topic.into());
        }
        items.push(Received { sequence, item });
    }
    Ok(Page { items, more })
}

pub(crate) fn welcome_page(
    installation: &InstallationId,
    after: SequenceId,
    answer: mls_api::QueryWelcomeMessagesResponse,
) -> Result<Page<Welcome>, crate::NetworkError> {
    let more = has_more(answer.messages.len(), answer.paging_info.as_ref());
    let mut ascent = Ascent::from(after);
    let mut items = Vec::with_capacity(answer.messages.len());
    for (id, item) in answer.messages.into_iter().filter_map(welcome) {
        let sequence = ascent.next(id)?;
        if item.as_ref().is_ok_and(|welcome| welcome.installation() != installation) {
            return Err(BadAnswer::Topic.into());
        }
        items.push(Received { sequence, item });
    }
    Ok(Page { items, more })
}

pub(crate) fn key_packages(
    asked: usize,
    answer: mls_api::FetchKeyPackagesResponse,
) -> Result<Vec<Option<Vec<u8>>>, crate::NetworkError> {
    same_count(asked, answer.key_packages.len())?;
    let bytes = answer.key_packages.into_iter().map(|entry| entry.key_package_tls_serialized);
    Ok(bytes.map(|bytes| (!bytes.is_empty()).then_some(bytes)).collect())
}

pub(crate) fn newest(
    asked: &[GroupId],
    answer: mls_api::GetNewestGroupMessageResponse,
) -> Result<Vec<Option<Newest>>, crate::NetworkError> {
    same_count(asked.len(), answer.responses.len())?;
    let one = |(group, response): (&GroupId, mls_api::get_newest_group_message_response::Response)| {
        let Some(mls_api::group_message::Version::V1(v1)) = response.group_message.and_then(|m| m.version) else {
            return Ok(None);
        };
        if v1.group_id != group.as_bytes() {
            return Err(BadAnswer::Topic.into());
        }
        let sequence = Ascent::from(SequenceId::START).next(v1.id)?;
        Ok(Some(Newest { sequence, created: UnixNanos::from_wire(v1.created_ns), is_commit: v1.is_commit }))
    };
    asked.iter().zip(answer.responses).map(one).collect()
}

pub(crate) fn identity_updates(
    asked: &[(InboxId, SequenceId)],
    answer: identity_api::GetIdentityUpdatesResponse,
) -> Result<Vec<Vec<LogEntry>>, crate::NetworkError> {
    same_count(asked.len(), answer.responses.len())?;
    let one = |((inbox, after), response): (
        &(InboxId, SequenceId),
        identity_api::get_identity_updates_response::Response,
    )| {
        if !response.inbox_id.eq_ignore_ascii_case(&inbox.to_hex()) {
            return Err(BadAnswer::Topic.into());
        }
        let mut ascent = Ascent::from(*after);
        response.updates.into_iter().map(|entry| log_entry(&mut ascent, entry)).collect()
    };
    asked.iter().zip(answer.responses).map(one).collect()
}

fn log_entry(
    ascent: &mut Ascent,
    entry: identity_api::get_identity_updates_response::IdentityUpdateLog,
) -> Result<LogEntry, crate::NetworkError> {
    let sequence = ascent.next(entry.sequence_id)?;
    let update = entry.update.unwrap_or_default();
    let bytes = update.encode_to_vec();
    Ok(LogEntry {
        sequence,
        server_time: UnixNanos::from_wire(entry.server_timestamp_ns),
        update: IdentityUpdate::from_proto(update),
        bytes,
    })
}

pub(crate) fn inbox_request(identifier: &Identifier) -> identity_api::get_inbox_ids_request::Request {
    let kind = match identifier {
        Identifier::Ethereum(_) => IdentifierKind::Ethereum,
        Identifier::Passkey(_) => IdentifierKind::Passkey,
        // A kind from a later version: the node compares the text.
        _ => IdentifierKind::Unspecified,
    };
    identity_api::get_inbox_ids_request::Request { identifier: identifier.to_string(), identifier_kind: kind.into() }
}

pub(crate) fn inbox_ids(
    asked: usize,
    answer: identity_api::GetInboxIdsResponse,
) -> Result<Vec<Option<InboxId>>, crate::NetworkError> {
    same_count(asked, answer.responses.len())?;
    let one = |response: identity_api::get_inbox_ids_response::Response| match response.inbox_id {
        None => Ok(None),
        Some(text) => text.to_ascii_lowercase().parse().map(Some).map_err(|_| BadAnswer::InboxId.into()),
    };
    answer.responses.into_iter().map(one).collect()
}

pub(crate) fn contract_request(check: ChainCheck) -> identity_api::VerifySmartContractWalletSignatureRequestSignature {
    identity_api::VerifySmartContractWalletSignatureRequestSignature {
        account_id: check.account_id.as_str().to_owned(),
        block_number: check.block_number,
        signature: check.signature,
        hash: check.hash.to_vec(),
    }
}

/// A check that the node could not make has an error text; that is no verdict (identity §12.4).
pub(crate) fn contract_verdicts(
    asked: usize,
    answer: identity_api::VerifySmartContractWalletSignaturesResponse,
) -> Result<Vec<ContractVerdict>, crate::NetworkError> {
    same_count(asked, answer.responses.len())?;
    let verdicts = answer.responses.into_iter().map(|response| ContractVerdict {
        verdict: match (response.is_valid, &response.error) {
            (true, _) => Verdict::Valid,
            (false, None) => Verdict::Invalid,
            (false, Some(_)) => Verdict::Unknown,
        },
        block: response.block_number,
        error: response.error.as_deref().map(NodeMessage::new),
    });
    Ok(verdicts.collect())
}

pub(crate) fn commit_logs(
    asked: &[(GroupId, SequenceId)],
    answer: mls_api::BatchQueryCommitLogResponse,
) -> Result<Vec<CommitLogPage>, crate::NetworkError> {
    same_count(asked.len(), answer.responses.len())?;
    let one = |((group, after), response): (&(GroupId, SequenceId), mls_api::QueryCommitLogResponse)| {
        // A node without a commit log may answer with an empty response (transport §4.7).
        if response.group_id != group.as_bytes() && !response.commit_log_entries.is_empty() {
            return Err(BadAnswer::Topic.into());
        }
        let more = has_more(response.commit_log_entries.len(), response.paging_info.as_ref());
        let mut ascent = Ascent::from(*after);
        let entries = response.commit_log_entries.into_iter();
        let items: Result<_, BadAnswer> = entries.map(|entry| commit_log_item(&mut ascent, entry)).collect();
        Ok(CommitLogPage { items: items?, more })
    };
    asked.iter().zip(answer.responses).map(one).collect()
}

fn commit_log_item(ascent: &mut Ascent, entry: message_contents::CommitLogEntry) -> Result<CommitLogItem, BadAnswer> {
    let sequence = ascent.next(entry.sequence_id)?;
    CommitLogItem::from_proto(entry).map_err(|_| BadAnswer::Position(sequence.0))
}
