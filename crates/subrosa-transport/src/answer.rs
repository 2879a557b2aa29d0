//! Questions as messages, and what is checked of every answer before anybody sees it (sync §3.8).

use prost::Message;
use subrosa_envelope::{CommitLogItem, GroupMessage, Welcome, limits};
use subrosa_identity::{ChainCheck, DecodeError, Identifier, IdentityUpdate, Verdict};
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

/// A page on which nothing has a position has no next one: asking again would bring the same page, for ever.
const fn page<T>(items: Vec<Received<T>>, more: bool) -> Page<T> {
    let more = more && !items.is_empty();
    Page { items, more }
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
    Ok(page(items, more))
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
    Ok(page(items, more))
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

pub(crate) fn log_request(asked: &[(InboxId, SequenceId)]) -> identity_api::GetIdentityUpdatesRequest {
    let request = |(inbox, after): &(InboxId, SequenceId)| identity_api::get_identity_updates_request::Request {
        inbox_id: inbox.to_hex(),
        sequence_id: after.0,
    };
    identity_api::GetIdentityUpdatesRequest { requests: asked.iter().map(request).collect() }
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
    let server_time = UnixNanos::from_wire(entry.server_timestamp_ns);
    // An absent update is not an empty one: that could be applied (identity §14).
    let Some(update) = entry.update else {
        let update = Err(DecodeError::MissingField("update"));
        return Ok(LogEntry { sequence, server_time, update, bytes: Vec::new() });
    };
    let bytes = update.encode_to_vec();
    Ok(LogEntry { sequence, server_time, update: IdentityUpdate::from_proto(update), bytes })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkError;

    const GROUP: [u8; 4] = [0xaa; 4];

    fn group() -> GroupId {
        GroupId::from_slice(&GROUP).unwrap()
    }

    /// A private message of a group of four bytes.
    fn data(group: [u8; 4]) -> Vec<u8> {
        [&[0, 1, 0, 2, 4][..], &group, &[0; 8], &[1, 0, 0, 0]].concat()
    }

    fn wire(id: u64, data: Vec<u8>) -> mls_api::GroupMessage {
        let v1 = mls_api::group_message::V1 { id, data, group_id: GROUP.to_vec(), ..Default::default() };
        mls_api::GroupMessage { version: Some(mls_api::group_message::Version::V1(v1)) }
    }

    fn page(messages: Vec<mls_api::GroupMessage>) -> Result<Page<GroupMessage>, NetworkError> {
        let paging_info = Some(mls_api::PagingInfo { direction: 1, limit: 100, id_cursor: 9 });
        let answer = mls_api::QueryGroupMessagesResponse { messages, paging_info };
        group_page(&group(), SequenceId(5), answer)
    }

    #[track_caller]
    fn bad<T>(answer: Result<T, NetworkError>, want: BadAnswer) {
        match answer {
            Err(NetworkError::BadAnswer(got)) => assert_eq!(got, want),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("taken"),
        }
    }

    #[test]
    fn numbers_that_cannot_be_true_refuse_the_whole_page() {
        let good = || wire(6, data(GROUP));
        bad(page(vec![good(), wire(0, data(GROUP))]), BadAnswer::Position(0));
        bad(page(vec![good(), wire(1 << 63, data(GROUP))]), BadAnswer::Position(1 << 63));
        bad(page(vec![good(), good()]), BadAnswer::Order { after: SequenceId(6), got: SequenceId(6) });
        bad(page(vec![wire(5, data(GROUP))]), BadAnswer::Order { after: SequenceId(5), got: SequenceId(5) });
        bad(page(vec![good(), wire(7, data([1; 4]))]), BadAnswer::Topic);
        bad(page(vec![good(), wire(6, vec![])]), BadAnswer::Order { after: SequenceId(6), got: SequenceId(6) });
    }

    #[test]
    fn a_malformed_item_keeps_its_position() {
        let versionless = mls_api::GroupMessage { version: None };
        let page = page(vec![wire(6, vec![1, 2, 3]), versionless, wire(8, data(GROUP))]).unwrap();
        let read: Vec<_> = page.items.iter().map(|item| (item.sequence.0, item.item.is_ok())).collect();
        assert_eq!(read, [(6, false), (8, true)]);
        assert_eq!(page.last(), Some(SequenceId(8)));
        assert!(!page.more, "three items are no full page");
    }

    #[test]
    fn a_full_page_without_positions_has_no_more() {
        let messages = vec![mls_api::GroupMessage { version: None }; 100];
        let paging_info = Some(mls_api::PagingInfo { direction: 1, limit: 100, id_cursor: 105 });
        let answer = mls_api::QueryGroupMessagesResponse { messages, paging_info };
        assert!(!group_page(&group(), SequenceId(5), answer).unwrap().more);
        let messages = vec![mls_api::WelcomeMessage { version: None }; 100];
        let answer = mls_api::QueryWelcomeMessagesResponse { messages, paging_info };
        assert!(!welcome_page(&InstallationId::from_bytes([1; 32]), SequenceId(5), answer).unwrap().more);
    }

    #[test]
    fn a_full_page_has_more_unless_the_node_says_no() {
        let full = |id_cursor| {
            let messages = (6..106).map(|id| wire(id, data(GROUP))).collect();
            let paging_info = Some(mls_api::PagingInfo { direction: 1, limit: 100, id_cursor });
            group_page(&group(), SequenceId(5), mls_api::QueryGroupMessagesResponse { messages, paging_info }).unwrap()
        };
        assert!(full(105).more);
        assert!(!full(0).more);
    }

    #[test]
    fn answers_are_counted() {
        let count = |asked, got| BadAnswer::Count { asked, got };
        bad(key_packages(1, mls_api::FetchKeyPackagesResponse::default()), count(1, 0));
        bad(newest(&[group()], mls_api::GetNewestGroupMessageResponse::default()), count(1, 0));
        bad(inbox_ids(2, identity_api::GetInboxIdsResponse::default()), count(2, 0));
        bad(commit_logs(&[(group(), SequenceId::START)], mls_api::BatchQueryCommitLogResponse::default()), count(1, 0));
        let verdicts = identity_api::VerifySmartContractWalletSignaturesResponse::default();
        bad(contract_verdicts(3, verdicts), count(3, 0));
        let asked = [(InboxId::from_bytes([1; 32]), SequenceId::START)];
        bad(identity_updates(&asked, identity_api::GetIdentityUpdatesResponse::default()), count(1, 0));
    }

    #[test]
    fn an_identity_log_belongs_to_the_inbox_asked_for() {
        use identity_api::get_identity_updates_response::{IdentityUpdateLog, Response};

        let inbox = InboxId::from_bytes([0xab; 32]);
        let answer = |inbox_id: String, ids: &[u64]| {
            let updates = ids.iter().map(|id| IdentityUpdateLog { sequence_id: *id, ..Default::default() }).collect();
            let answer = identity_api::GetIdentityUpdatesResponse { responses: vec![Response { inbox_id, updates }] };
            identity_updates(&[(inbox, SequenceId(3))], answer)
        };
        assert_eq!(answer(inbox.to_hex().to_uppercase(), &[4, 9]).unwrap()[0].len(), 2);
        bad(answer("cd".repeat(32), &[4]), BadAnswer::Topic);
        bad(answer(inbox.to_hex(), &[3]), BadAnswer::Order { after: SequenceId(3), got: SequenceId(3) });
        bad(answer(inbox.to_hex(), &[5, 4]), BadAnswer::Order { after: SequenceId(5), got: SequenceId(4) });
    }

    #[test]
    fn an_entry_without_an_update_says_so() {
        use identity_api::get_identity_updates_response::{IdentityUpdateLog, Response};

        let inbox = InboxId::from_bytes([0xab; 32]);
        let entry = |sequence_id, update| IdentityUpdateLog { sequence_id, server_timestamp_ns: 7, update };
        let updates = vec![entry(4, None), entry(5, Some(Default::default()))];
        let answer = identity_api::GetIdentityUpdatesResponse {
            responses: vec![Response { inbox_id: inbox.to_hex(), updates }],
        };
        let log = identity_updates(&[(inbox, SequenceId(3))], answer).unwrap().remove(0);
        assert_eq!(log[0].update, Err(DecodeError::MissingField("update")));
        // One without actions is an update; whether it may be applied is for the state to say.
        assert!(log[1].update.is_ok());
    }

    #[test]
    fn an_answer_with_an_error_text_is_no_verdict() {
        use identity_api::verify_smart_contract_wallet_signatures_response::ValidationResponse;

        let response = |is_valid, error: Option<&str>| ValidationResponse {
            is_valid,
            block_number: None,
            error: error.map(str::to_owned),
        };
        let responses = vec![response(true, None), response(false, None), response(false, Some("no chain"))];
        let answer = identity_api::VerifySmartContractWalletSignaturesResponse { responses };
        let verdicts: Vec<_> = contract_verdicts(3, answer).unwrap().into_iter().map(|v| v.verdict).collect();
        assert_eq!(verdicts, [Verdict::Valid, Verdict::Invalid, Verdict::Unknown]);
    }

    #[test]
    fn an_inbox_id_is_read_or_the_answer_is_wrong() {
        let answer = |inbox_id: Option<&str>| identity_api::GetInboxIdsResponse {
            responses: vec![identity_api::get_inbox_ids_response::Response {
                inbox_id: inbox_id.map(str::to_owned),
                ..Default::default()
            }],
        };
        assert_eq!(inbox_ids(1, answer(None)).unwrap(), [None]);
        assert_eq!(inbox_ids(1, answer(Some(&"AB".repeat(32)))).unwrap(), [Some(InboxId::from_bytes([0xab; 32]))]);
        bad(inbox_ids(1, answer(Some("x"))), BadAnswer::InboxId);
    }
}
