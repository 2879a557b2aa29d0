//! Identity logs and the address index (transport §4.6, identity §8).

use std::sync::atomic::Ordering;

use prost::Message;
use subrosa_identity::{
    AccountId, ChainCheck, Identifier, IdentityUpdate, InstallationKey, SignatureRequest, SignatureRequestBuilder,
    Verdict, WalletKey, inbox_id,
};
use subrosa_node::{Clock, Node, NodeConfig, Retention};
use subrosa_proto::xmtp::identity::{api::v1 as api, associations as proto};
use subrosa_transport::{Network, NetworkError, Outage, Refusal};
use subrosa_types::{InboxId, SequenceId, UnixNanos};
use subrosa_vectors::{Family, bytes, number, text};
use tonic::Code;

use crate::{
    support::{IDENTITY, call, code, node},
    validation::updates_of,
};

/// An account: a wallet, its inbox and an installation.
pub(crate) struct Account {
    pub(crate) wallet: WalletKey,
    pub(crate) inbox: InboxId,
    pub(crate) installation: InstallationKey,
}

impl Account {
    pub(crate) fn new(number: u8) -> Self {
        let wallet = WalletKey::from_bytes(&[number; 32]).unwrap();
        let inbox = inbox_id(&wallet.identifier(), 1).unwrap();
        Self { wallet, inbox, installation: InstallationKey::from_seed([number; 32]) }
    }

    fn builder(&self, time: i64) -> SignatureRequestBuilder {
        SignatureRequest::builder(self.inbox, UnixNanos::from_nanos(time * 1_000_000_000))
    }

    pub(crate) fn registration(&self) -> IdentityUpdate {
        let id = self.installation.id();
        let request = self.builder(1_000).create_inbox(self.wallet.identifier(), 1);
        self.sign(request.add_association(id, self.wallet.identifier()).request(), &[])
    }

    /// Signs with the wallet, the installation and others, as far as they are asked.
    fn sign(&self, mut request: SignatureRequest, others: &[&WalletKey]) -> IdentityUpdate {
        let _ = request.sign_with_installation(&self.installation);
        for wallet in std::iter::once(&&self.wallet).chain(others) {
            let _ = request.add_wallet_signature(&wallet.sign(request.text()));
        }
        request.build().unwrap()
    }

    pub(crate) fn link(&self, other: &WalletKey, time: i64) -> IdentityUpdate {
        let request = self.builder(time).add_association(other.identifier(), self.wallet.identifier());
        self.sign(request.request(), &[other])
    }

    pub(crate) fn unlink(&self, other: &WalletKey, time: i64) -> IdentityUpdate {
        self.sign(self.builder(time).revoke(other.identifier(), self.wallet.identifier()).request(), &[])
    }
}

async fn inbox_of(node: &Node, identifier: Identifier) -> Option<InboxId> {
    node.inbox_ids(&[identifier]).await.unwrap()[0]
}

async fn log_of(node: &Node, inbox: InboxId) -> Vec<u64> {
    let logs = node.identity_updates(&[(inbox, SequenceId::START)]).await.unwrap();
    logs[0].iter().map(|entry| entry.sequence.0).collect()
}

#[track_caller]
fn refused(answer: Result<(), NetworkError>, code: Refusal) {
    let Err(NetworkError::Refused { code: got, .. }) = answer else { panic!("not refused: {answer:?}") };
    assert_eq!(got, code);
}

#[tokio::test]
async fn a_registration_can_be_read_and_resolved() {
    let node = node();
    let (a, b) = (Account::new(1), Account::new(2));
    assert_eq!(inbox_of(&node, a.wallet.identifier()).await, None);
    node.publish_identity_update(a.registration()).await.unwrap();
    node.publish_identity_update(b.registration()).await.unwrap();
    assert_eq!(inbox_of(&node, a.wallet.identifier()).await, Some(a.inbox));
    let asked = [(b.inbox, SequenceId::START), (a.inbox, SequenceId::START), (b.inbox, SequenceId(2))];
    for question in asked {
        let logs = node.identity_updates(&[question]).await.unwrap();
        let entries: Vec<_> = logs[0].iter().map(|entry| entry.sequence.0).collect();
        let want = match question {
            (inbox, _) if inbox == a.inbox => vec![1],
            (_, SequenceId::START) => vec![2],
            _ => vec![],
        };
        assert_eq!(entries, want);
    }
    let logs = node.identity_updates(&asked[..2]).await.unwrap();
    assert_eq!(logs[0][0].update.as_ref().unwrap(), &b.registration());
    assert_eq!(logs[1][0].bytes, a.registration().to_bytes());
}

#[tokio::test]
async fn an_address_resolves_to_its_newest_inbox_and_falls_back() {
    let node = node();
    let (a, b, shared) = (Account::new(1), Account::new(2), WalletKey::from_bytes(&[9; 32]).unwrap());
    for update in [a.registration(), b.registration(), a.link(&shared, 2_000), b.link(&shared, 2_000)] {
        node.publish_identity_update(update).await.unwrap();
    }
    assert_eq!(inbox_of(&node, shared.identifier()).await, Some(b.inbox));
    node.publish_identity_update(b.unlink(&shared, 3_000)).await.unwrap();
    assert_eq!(inbox_of(&node, shared.identifier()).await, Some(a.inbox));
    node.publish_identity_update(a.unlink(&shared, 3_000)).await.unwrap();
    assert_eq!(inbox_of(&node, shared.identifier()).await, None);
    node.publish_identity_update(b.link(&shared, 4_000)).await.unwrap();
    assert_eq!(inbox_of(&node, shared.identifier()).await, Some(b.inbox));
}

#[tokio::test]
async fn refused_updates_leave_no_trace() {
    let node = node();
    let (a, b) = (Account::new(1), Account::new(2));
    let publish = |update| node.publish_identity_update(update);
    refused(publish(a.link(&b.wallet, 2_000)).await, Refusal::InvalidArgument);
    publish(a.registration()).await.unwrap();
    refused(publish(a.registration()).await, Refusal::InvalidArgument);
    // Signed for another inbox.
    let elsewhere = IdentityUpdate::new(b.inbox.to_hex(), 1_000_000_000_000, a.registration().actions().to_vec());
    refused(publish(elsewhere).await, Refusal::InvalidArgument);
    refused(publish(IdentityUpdate::new(a.inbox.to_hex(), 5, vec![])).await, Refusal::InvalidArgument);
    let upper = a.inbox.to_hex().to_uppercase();
    refused(
        publish(IdentityUpdate::new(upper, 5, a.registration().actions().to_vec())).await,
        Refusal::InvalidArgument,
    );
    refused(
        publish(a.unlink(&a.wallet, 2_000)).await.and(publish(a.unlink(&a.wallet, 2_000)).await),
        Refusal::InvalidArgument,
    );
    let none: Result<api::PublishIdentityUpdateResponse, _> =
        call(&node, &format!("{IDENTITY}PublishIdentityUpdate"), &api::PublishIdentityUpdateRequest::default()).await;
    assert_eq!(code(none), Code::InvalidArgument);
    assert_eq!(log_of(&node, a.inbox).await, [1, 2]);
    assert!(log_of(&node, b.inbox).await.is_empty());
    assert_eq!(inbox_of(&node, b.wallet.identifier()).await, None);
}

#[tokio::test]
async fn a_full_log_refuses_for_good() {
    let node = node();
    let (a, other) = (Account::new(1), WalletKey::from_bytes(&[9; 32]).unwrap());
    node.publish_identity_update(a.registration()).await.unwrap();
    for i in 1..256 {
        let update = if i % 2 == 1 { a.link(&other, 2_000 + i) } else { a.unlink(&other, 2_000 + i) };
        node.publish_identity_update(update).await.unwrap();
    }
    refused(node.publish_identity_update(a.unlink(&other, 9_000)).await, Refusal::FailedPrecondition);
    assert_eq!(log_of(&node, a.inbox).await.len(), 256);
}

#[tokio::test]
async fn concurrent_updates_of_one_inbox_are_judged_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(NodeConfig::at(folder.path())).unwrap();
    let (a, other) = (Account::new(1), WalletKey::from_bytes(&[9; 32]).unwrap());
    node.publish_identity_update(a.registration()).await.unwrap();
    // The same update many times: exactly one can be new.
    let update = a.link(&other, 2_000);
    let tries = (0..16).map(|_| {
        let (node, update) = (node.clone(), update.clone());
        tokio::spawn(async move { node.publish_identity_update(update).await.is_ok() })
    });
    let accepted = futures::future::join_all(tries).await.into_iter().filter(|done| *done.as_ref().unwrap()).count();
    assert_eq!(accepted, 1);
    assert_eq!(log_of(&node, a.inbox).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_updates_that_exclude_each_other_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let node = Node::open(NodeConfig::at(folder.path())).unwrap();
    let a = Account::new(1);
    node.publish_identity_update(a.registration()).await.unwrap();
    // Whoever is first takes the say from the one who signed all of them.
    let tries = (0..16).map(|number| {
        let heir = WalletKey::from_bytes(&[100 + number; 32]).unwrap().identifier();
        let update = a.sign(a.builder(2_000).change_recovery(heir, a.wallet.identifier()).request(), &[]);
        let node = node.clone();
        tokio::spawn(async move { node.publish_identity_update(update).await.is_ok() })
    });
    let accepted = futures::future::join_all(tries).await.into_iter().filter(|done| *done.as_ref().unwrap()).count();
    assert_eq!(accepted, 1);
    assert_eq!(log_of(&node, a.inbox).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_place_in_a_log_is_given_once() {
    let node = node();
    let (a, other) = (Account::new(1), WalletKey::from_bytes(&[9; 32]).unwrap());
    node.publish_identity_update(a.registration()).await.unwrap();
    for i in 1..255 {
        let update = if i % 2 == 1 { a.link(&other, 2_000 + i) } else { a.unlink(&other, 2_000 + i) };
        node.publish_identity_update(update).await.unwrap();
    }
    assert_eq!(log_of(&node, a.inbox).await.len(), 255);
    let tries = (0..16).map(|number| {
        let update = a.link(&WalletKey::from_bytes(&[100 + number; 32]).unwrap(), 9_000);
        let node = node.clone();
        tokio::spawn(async move { node.publish_identity_update(update).await })
    });
    let answers: Vec<_> = futures::future::join_all(tries).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in answers.into_iter().filter(Result::is_err) {
        refused(answer, Refusal::FailedPrecondition);
    }
    let log = log_of(&node, a.inbox).await;
    assert_eq!(log.len(), 256);
    assert!(log.is_sorted_by(|a, b| a < b));
}

#[test]
fn vectors_association_logs_fill_the_address_index() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Family::load("identity/association_logs")
        .each(|_, file| {
            let good = |case: &&serde_json::Value| case["valid"] == true;
            let mut published = 0;
            for case in file["cases"].as_array().unwrap().iter().filter(good) {
                let updates = updates_of(case).unwrap();
                // No chain is asked here, and an update without actions is not taken.
                if updates.iter().any(|update| update.actions.is_empty() || format!("{update:?}").contains("Erc6492")) {
                    continue;
                }
                let node = node();
                let mut named_once = std::collections::BTreeMap::new();
                for update in updates {
                    let decoded = IdentityUpdate::from_bytes(&update.encode_to_vec()).unwrap();
                    for action in decoded.actions() {
                        use subrosa_identity::IdentityAction::{AddAssociation, CreateInbox};
                        let identifier = match action {
                            CreateInbox { identifier, .. } => Some(identifier.clone()),
                            AddAssociation { new_member, .. } => new_member.as_identifier(),
                            _ => None,
                        };
                        named_once.extend(identifier.map(|identifier| (identifier.text(), identifier)));
                    }
                    let request = api::PublishIdentityUpdateRequest { identity_update: Some(update) };
                    let path = format!("{IDENTITY}PublishIdentityUpdate");
                    let answer: Result<api::PublishIdentityUpdateResponse, _> =
                        runtime.block_on(call(&node, &path, &request));
                    assert!(answer.is_ok(), "{}: {answer:?}", case["name"]);
                    published += 1;
                }
                let members = case["expected_state"]["members"].as_array().unwrap();
                for (name, identifier) in named_once {
                    let is_member = members.iter().any(|member| member["identifier"] == name.as_str());
                    let kind = if matches!(identifier, Identifier::Passkey(_)) { 2 } else { 1 };
                    for asked in [kind, 3 - kind] {
                        let question =
                            api::get_inbox_ids_request::Request { identifier: name.clone(), identifier_kind: asked };
                        let request = api::GetInboxIdsRequest { requests: vec![question] };
                        let answer: api::GetInboxIdsResponse =
                            runtime.block_on(call(&node, &format!("{IDENTITY}GetInboxIds"), &request)).unwrap();
                        let want = (is_member && asked == kind).then(|| text(&case["inbox_id"]).to_owned());
                        assert_eq!(answer.responses[0].inbox_id, want, "{}: {name}", case["name"]);
                        assert_eq!(answer.responses[0].identifier_kind, asked);
                    }
                }
            }
            published
        })
        .finish();
}

#[tokio::test]
async fn pruning_touches_neither_logs_nor_index() {
    let at_once = Some(std::time::Duration::ZERO);
    let retention = Retention { messages: at_once, welcomes: at_once, key_packages: at_once };
    let time = std::sync::atomic::AtomicI64::new(1_000);
    let clock = Clock::from_fn(move || UnixNanos::from_nanos(time.fetch_add(1_000, Ordering::Relaxed)));
    let node = Node::open(NodeConfig { retention, clock, ..NodeConfig::in_memory() }).unwrap();
    let a = Account::new(1);
    node.publish_identity_update(a.registration()).await.unwrap();
    node.prune().await.unwrap();
    assert_eq!(log_of(&node, a.inbox).await, [1]);
    assert_eq!(inbox_of(&node, a.wallet.identifier()).await, Some(a.inbox));
}

#[tokio::test]
async fn an_update_that_would_fill_answers_is_refused() {
    let node = node();
    let a = Account::new(1);
    node.publish_identity_update(a.registration()).await.unwrap();
    let revoke = |count: u16| {
        let gone = (0..count).map(|number| Identifier::parse_ethereum(&format!("0x{number:040x}")).unwrap());
        let request = gone.fold(a.builder(2_000), |request, gone| request.revoke(gone, a.wallet.identifier()));
        a.sign(request.request(), &[])
    };
    refused(node.publish_identity_update(revoke(700)).await, Refusal::InvalidArgument);
    node.publish_identity_update(revoke(100)).await.unwrap();
}

#[tokio::test]
async fn logs_continue_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (a, other) = (Account::new(1), WalletKey::from_bytes(&[9; 32]).unwrap());
    let node = Node::open(NodeConfig::at(folder.path())).unwrap();
    node.publish_identity_update(a.registration()).await.unwrap();
    drop(node);
    let node = Node::open(NodeConfig::at(folder.path())).unwrap();
    refused(node.publish_identity_update(a.registration()).await, Refusal::InvalidArgument);
    node.publish_identity_update(a.link(&other, 2_000)).await.unwrap();
    assert_eq!(log_of(&node, a.inbox).await, [1, 2]);
}

#[tokio::test]
async fn a_contract_wallet_that_nobody_asked_is_never_accepted() {
    let node = node();
    let account = Account::new(1);
    let address = account.wallet.address();
    let wallet = proto::SmartContractWalletSignature {
        account_id: format!("eip155:1:{address}"),
        block_number: 12,
        signature: vec![1; 65],
    };
    let signature = proto::Signature { signature: Some(proto::signature::Signature::Erc6492(wallet)) };
    let create = proto::CreateInbox {
        initial_identifier: address.clone(),
        nonce: 1,
        initial_identifier_signature: Some(signature),
        initial_identifier_kind: 1,
        ..Default::default()
    };
    let action = proto::IdentityAction { kind: Some(proto::identity_action::Kind::CreateInbox(create)) };
    let update =
        proto::IdentityUpdate { actions: vec![action], client_timestamp_ns: 5, inbox_id: account.inbox.to_hex() };
    let update = IdentityUpdate::from_bytes(&update.encode_to_vec()).unwrap();
    let answer = node.publish_identity_update(update).await.unwrap_err();
    assert!(matches!(answer, NetworkError::Unreachable { cause: Outage::Unavailable, .. }), "{answer}");
    assert!(log_of(&node, account.inbox).await.is_empty());

    let account_id = AccountId::ethereum(1, &address).unwrap();
    let check = ChainCheck { account_id, hash: [0; 32], signature: vec![1], block_number: None };
    let verdicts = node.verify_contract_wallets(vec![check.clone(), check]).await.unwrap();
    assert_eq!(verdicts.len(), 2);
    assert!(verdicts.iter().all(|verdict| verdict.verdict == Verdict::Unknown && verdict.error.is_some()));
}

#[tokio::test]
async fn questions_are_echoed_as_they_were_asked() {
    let node = node();
    let a = Account::new(1);
    node.publish_identity_update(a.registration()).await.unwrap();
    let address = a.wallet.address();
    let request = |identifier: &str, identifier_kind| api::get_inbox_ids_request::Request {
        identifier: identifier.to_owned(),
        identifier_kind,
    };
    let upper = address.to_uppercase();
    let requests =
        vec![request(&upper, 1), request(&address, 0), request("", 7), request(&address, 2), request(&address, 1)];
    let answer: api::GetInboxIdsResponse =
        call(&node, &format!("{IDENTITY}GetInboxIds"), &api::GetInboxIdsRequest { requests }).await.unwrap();
    let read: Vec<_> =
        answer.responses.iter().map(|r| (r.identifier.as_str(), r.identifier_kind, r.inbox_id.is_some())).collect();
    assert_eq!(
        read,
        [(&*upper, 1, false), (&*address, 0, true), ("", 7, false), (&*address, 2, false), (&*address, 1, true)]
    );

    let asked = [a.inbox.to_hex().to_uppercase(), "ab".to_owned(), a.inbox.to_hex(), a.inbox.to_hex()];
    let requests = asked
        .iter()
        .map(|inbox| api::get_identity_updates_request::Request { inbox_id: inbox.clone(), sequence_id: 0 });
    let request = api::GetIdentityUpdatesRequest { requests: requests.collect() };
    let answer: api::GetIdentityUpdatesResponse =
        call(&node, &format!("{IDENTITY}GetIdentityUpdates"), &request).await.unwrap();
    let read: Vec<_> = answer.responses.iter().map(|r| (r.inbox_id.clone(), r.updates.len())).collect();
    assert_eq!(read, asked.into_iter().zip([1, 0, 1, 1]).collect::<Vec<_>>());
}

#[test]
fn vectors_identity_logs_of_the_official_client_are_accepted() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    Family::load("wire/identity_updates")
        .each(|file, json| {
            let Some(updates) = json["updates"].as_array() else { return 0 };
            let node = node();
            for update in updates {
                let wire = proto::IdentityUpdate::decode(&bytes(&update["identity_update_proto"])[..]).unwrap();
                let is_contract = format!("{wire:?}").contains("Erc6492");
                let request = api::PublishIdentityUpdateRequest { identity_update: Some(wire) };
                let path = format!("{IDENTITY}PublishIdentityUpdate");
                let answer: Result<api::PublishIdentityUpdateResponse, _> =
                    runtime.block_on(call(&node, &path, &request));
                let want = if is_contract { Code::Unavailable } else { Code::Ok };
                assert_eq!(code(answer), want, "{file}");
                if is_contract {
                    break;
                }
            }
            let state = &json["final_state_shown_by_official_client"];
            if !file.starts_with("smart_contract_wallet") {
                for member in state["identifiers"].as_array().into_iter().flatten() {
                    let identifier = match number(&member["identifierKind"]) {
                        0 => Identifier::parse_ethereum(text(&member["identifier"])).unwrap(),
                        _ => Identifier::parse_passkey(text(&member["identifier"])).unwrap(),
                    };
                    let inbox = runtime.block_on(inbox_of(&node, identifier));
                    assert_eq!(inbox.unwrap().to_hex(), text(&json["inbox_id"]), "{file}");
                }
            }
            updates.len()
        })
        .finish();
}
