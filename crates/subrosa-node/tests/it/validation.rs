//! What a validation service promises (transport §11).

use std::{collections::BTreeSet, time::Duration};

use prost::Message;
use serde_json::{Value, json};
use subrosa_identity::{AssociationState, ChainVerdicts, IdentityUpdate, Verdict};
use subrosa_node::{Clock, Node, NodeConfig, ValidationService, associations};
use subrosa_proto::xmtp::{
    identity::{api::v1 as identity_api, associations as proto},
    mls_validation::v1 as api,
};
use subrosa_transport::Network;
use subrosa_types::{UnixNanos, hex};
use subrosa_vectors::{Family, bytes, number, text};
use tonic::{Code, Status, client::Grpc};

use crate::{
    identity::Account,
    support::{call_routes, mls_message},
};

const PATH: &str = "/xmtp.mls_validation.v1.ValidationApi/";

fn service() -> ValidationService {
    ValidationService::new(Clock::from_fn(|| UnixNanos::from_nanos(1)), None)
}

async fn ask<A: Message + Default + 'static>(
    service: &ValidationService,
    method: &str,
    request: &impl Message,
) -> Result<A, Status> {
    call_routes(service.routes(), &format!("{PATH}{method}"), request.encode_to_vec()).await
}

async fn state_of(
    service: &ValidationService,
    old_updates: Vec<proto::IdentityUpdate>,
    new_updates: Vec<proto::IdentityUpdate>,
) -> Result<api::GetAssociationStateResponse, Status> {
    ask(service, "GetAssociationState", &api::GetAssociationStateRequest { old_updates, new_updates }).await
}

#[track_caller]
fn refused(answer: Result<api::GetAssociationStateResponse, Status>, code: Code, label: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    assert_eq!(label_of(&status), label, "{status}");
}

fn label_of(status: &Status) -> &str {
    status.metadata().get("error-code").map_or("", |label| label.to_str().unwrap())
}

/// The label that the table of identity §13 gives for an error of the vectors. Where it has an ellipsis, its beginning.
fn label(kind: &str) -> &'static str {
    match kind {
        "MissingField:action" | "MissingField:signature" | "MissingField:member_identifier" => {
            "ConversionError::Missing"
        }
        "MissingField:delegated_key" => "ConversionError::Missing",
        "InstallationKeyInvalid" => "ConversionError::Ed25519",
        "PasskeyIdentifierHex" => "ConversionError::InvalidPublicKey",
        "AccountIdParts" => "ConversionError::InvalidLength",
        "AccountIdSyntax" => "ConversionError::InvalidValue",
        "EcdsaLength" | "LegacyKeyInvalid" | "ContractWalletRejected" | "PasskeySignatureEncoding" => {
            "SignatureError::Invalid"
        }
        "EcdsaNoRecoveryByte" | "EcdsaRecoveryByte" | "EcdsaRecover" => "SignatureError::Signature",
        "EcdsaScalar" | "InstallationSignature" | "PasskeySignature" => "SignatureError::Ed25519Error",
        "InstallationSignatureLength" => "SignatureError::TryFromSliceError",
        "PasskeyClientData" => "SignatureError::InvalidClientData",
        "PasskeyPublicKey" => "SignatureError::InvalidPublicKey",
        "ChainIdNotU64" => "AccountIdError::",
        "AddSelf" => "AssociationError::Generic",
        "MultipleCreate" => "AssociationError::MultipleCreate",
        "NotCreated" => "AssociationError::NotCreated",
        "MissingExistingMember" => "AssociationError::MissingExistingMember",
        "MemberNotAllowed" => "AssociationError::MemberNotAllowed",
        "LegacySignatureReuse" => "AssociationError::LegacySignatureReuse",
        "NewMemberIdSignatureMismatch" => "AssociationError::NewMemberIdSignatureMismatch",
        "WrongInboxId" => "AssociationError::WrongInboxId",
        "SignatureNotAllowed" => "AssociationError::SignatureNotAllowed",
        "Replay" => "AssociationError::Replay",
        "MissingIdentityUpdate" => "AssociationError::MissingIdentityUpdate",
        "ChainIdMismatch" => "AssociationError::ChainIdMismatch",
        "InvalidAccountAddress" => "AssociationError::InvalidAccountAddress",
        other => panic!("no label for {other}"),
    }
}

/// The updates of a log as a node reads them: ascending, an id that is there already does not come again.
pub(crate) fn updates_of(case: &Value) -> Option<Vec<proto::IdentityUpdate>> {
    let mut entries: Vec<&Value> = case["log"].as_array().unwrap().iter().collect();
    entries.sort_by_key(|entry| number(&entry["sequence_id"]));
    entries.dedup_by_key(|entry| number(&entry["sequence_id"]));
    let update = |entry: &&Value| {
        let update = &entry["update"];
        (!update.is_null()).then(|| proto::IdentityUpdate::decode(&bytes(update)[..]).unwrap())
    };
    entries.iter().map(update).collect()
}

/// Answers every question of a case as its recorded verifier did.
fn recorded_verdicts(case: &Value, updates: &[IdentityUpdate]) -> ChainVerdicts {
    let verdict = match text(&case["smart_contract_verifier"]) {
        "accepts everything" => Verdict::Valid,
        "rejects everything" => Verdict::Invalid,
        other => panic!("unknown verifier {other}"),
    };
    updates.iter().flat_map(IdentityUpdate::chain_checks).map(|check| (check, verdict)).collect()
}

fn named(identifier: Option<&proto::MemberIdentifier>) -> Value {
    use proto::member_identifier::Kind;
    match identifier.and_then(|identifier| identifier.kind.as_ref()) {
        None => Value::Null,
        Some(Kind::EthereumAddress(address)) => json!({ "kind": "ethereum", "identifier": address }),
        Some(Kind::InstallationPublicKey(key)) => json!({ "kind": "installation", "identifier": hex::encode(key) }),
        Some(Kind::Passkey(passkey)) => json!({ "kind": "passkey", "identifier": hex::encode(&passkey.key) }),
    }
}

/// Members without what the vectors do not give of all of them, sorted.
fn plain(identifier: &Value) -> Value {
    match identifier {
        Value::Null => Value::Null,
        other => json!({ "kind": other["kind"], "identifier": other["identifier"] }),
    }
}

/// Compares a state as message with the recorded one.
fn check_state(got: &proto::AssociationState, want: &Value, name: &Value) {
    assert_eq!(got.inbox_id, text(&want["inbox_id"]), "{name}");
    assert_eq!(got.recovery_identifier, text(&want["recovery_identifier"]["identifier"]), "{name}");
    let member = |entry: &proto::MemberMap| {
        let member = entry.value.as_ref().unwrap();
        assert_eq!(entry.key, member.identifier, "{name}");
        let identifier = named(member.identifier.as_ref());
        json!({
            "kind": identifier["kind"],
            "identifier": identifier["identifier"],
            "added_by": named(member.added_by_entity.as_ref()),
            "client_timestamp_ns": member.client_timestamp_ns.map(|time| time.to_string()),
            "added_on_chain_id": member.added_on_chain_id.map(|chain| chain.to_string()),
        })
    };
    let wanted = |member: &Value| {
        json!({
            "kind": member["kind"],
            "identifier": member["identifier"],
            "added_by": plain(&member["added_by"]),
            "client_timestamp_ns": member["client_timestamp_ns"],
            "added_on_chain_id": match &member["added_on_chain_id"] {
                Value::Number(number) => json!(number.to_string()),
                other => other.clone(),
            },
        })
    };
    let set = |members: Vec<Value>| members.iter().map(Value::to_string).collect::<BTreeSet<_>>();
    let want_members = want["members"].as_array().unwrap();
    assert_eq!(got.members.len(), want_members.len(), "{name}");
    assert_eq!(set(got.members.iter().map(member).collect()), set(want_members.iter().map(wanted).collect()), "{name}");
    let seen: BTreeSet<String> = got.seen_signatures.iter().map(|value| hex::encode(value)).collect();
    let want_seen = want["seen_signatures"].as_array().unwrap().iter().map(|value| text(value).to_owned());
    assert_eq!(seen, want_seen.collect(), "{name}");
}

fn keys(state: Option<&proto::AssociationState>) -> BTreeSet<String> {
    let members = state.into_iter().flat_map(|state| &state.members);
    members.map(|member| named(member.key.as_ref()).to_string()).collect()
}

fn listed(members: &[proto::MemberIdentifier]) -> BTreeSet<String> {
    members.iter().map(|member| named(Some(member)).to_string()).collect()
}

/// The library: all at once, with the recorded verifier.
fn check_library(case: &Value, updates: &[proto::IdentityUpdate]) {
    let name = &case["name"];
    let decoded: Result<Vec<IdentityUpdate>, _> =
        updates.iter().map(|update| IdentityUpdate::from_bytes(&update.encode_to_vec())).collect();
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(error) => {
            assert_eq!(case["expected_error"]["stage"], "decode", "{name}");
            return assert_eq!(error.label(), label(text(&case["expected_error"]["kind"])), "{name}");
        }
    };
    let verdicts = recorded_verdicts(case, &decoded);
    match associations(&[], &decoded, &verdicts) {
        Ok(all) => {
            assert_eq!(case["valid"], true, "{name}");
            check_state(&all.state.to_proto(), &case["expected_state"], name);
            assert_eq!(all.diff.new_members.len(), all.state.members().len(), "{name}");
            assert!(all.diff.removed_members.is_empty(), "{name}");
        }
        Err(error) => {
            assert_eq!(case["valid"], false, "{name}: {error}");
            assert!(error.label().starts_with(label(text(&case["expected_error"]["kind"]))), "{name}: {error:?}");
            assert!(!error.is_retryable(), "{name}");
        }
    }
}

/// The service without chains, with every cut into old and new.
async fn check_service(service: &ValidationService, case: &Value, updates: &[proto::IdentityUpdate]) {
    let name = &case["name"];
    let asks_chains = format!("{updates:?}").contains("Erc6492");
    let mut before: Option<proto::AssociationState> = None;
    for cut in 0..=updates.len() {
        let (old, new) = updates.split_at(cut);
        let answer = match state_of(service, old.to_vec(), new.to_vec()).await {
            Ok(answer) => answer,
            Err(status) if asks_chains && status.code() == Code::Unavailable => {
                assert_eq!(label_of(&status), "VerifierError::NoVerifier", "{name}");
                return;
            }
            Err(status) => {
                assert_eq!(case["valid"], false, "{name}: {status}");
                assert_eq!(status.code(), Code::InvalidArgument, "{name}: {status}");
                let want = label(text(&case["expected_error"]["kind"]));
                assert!(label_of(&status).starts_with(want), "{name}: {status:?}");
                continue;
            }
        };
        assert_eq!(case["valid"], true, "{name}");
        let state = answer.association_state.unwrap();
        check_state(&state, &case["expected_state"], name);
        assert!(AssociationState::from_trusted_proto(state.clone()).is_ok(), "{name}");
        let diff = answer.state_diff.unwrap();
        let (had, has) = (keys(before.as_ref()), keys(Some(&state)));
        assert_eq!(listed(&diff.new_members), has.difference(&had).cloned().collect(), "{name} cut at {cut}");
        assert_eq!(listed(&diff.removed_members), had.difference(&has).cloned().collect(), "{name} cut at {cut}");
        if cut < updates.len() {
            let answer = state_of(service, vec![], updates[..=cut].to_vec()).await.unwrap();
            before = answer.association_state;
        }
    }
}

#[test]
fn vectors_association_logs_are_judged_as_recorded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let service = service();
    Family::load("identity/association_logs")
        .each(|_, file| {
            let cases = file["cases"].as_array().unwrap();
            for case in cases {
                let Some(updates) = updates_of(case) else {
                    // An entry without update cannot be put into the request.
                    assert_eq!(case["expected_error"]["kind"], "MissingField:update");
                    continue;
                };
                check_library(case, &updates);
                runtime.block_on(check_service(&service, case, &updates));
            }
            cases.len()
        })
        .finish();
}

#[test]
fn vectors_mls_credentials_are_judged_at_the_clock_of_the_service() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let at = |seconds: u64, packages: &[Vec<u8>]| {
        let nanos = i64::try_from(seconds).unwrap() * 1_000_000_000;
        let service = ValidationService::new(Clock::from_fn(move || UnixNanos::from_nanos(nanos)), None);
        let key_packages = packages.iter().map(|package| api::validate_key_packages_request::KeyPackage {
            key_package_bytes_tls_serialized: package.clone(),
            is_inbox_id_credential: true,
        });
        let request = api::ValidateKeyPackagesRequest { key_packages: key_packages.collect() };
        let answer: api::ValidateInboxIdKeyPackagesResponse =
            runtime.block_on(ask(&service, "ValidateInboxIdKeyPackages", &request)).unwrap();
        assert_eq!(answer.responses.len(), packages.len());
        for response in &answer.responses {
            assert_eq!(response.is_ok, response.error_message.is_empty());
            assert_eq!(response.is_ok, response.credential.is_some());
            assert_eq!(response.is_ok, response.installation_public_key.len() == 32);
            assert_eq!(response.expiration, 0);
        }
        answer.responses
    };
    Family::load("identity/mls_credentials")
        .each(|_, json| {
            let packages = json["key_packages"].as_array().unwrap();
            for package in packages {
                let parsed = &package["parsed"];
                let (from, to) = (number(&parsed["not_before"]), number(&parsed["not_after"]));
                let bytes = [bytes(&package["key_package"])];
                let good = &at(from + 3_600, &bytes)[0];
                assert_eq!(hex::encode(&good.installation_public_key), text(&parsed["leaf_signature_key"]));
                assert_eq!(good.credential.as_ref().unwrap().inbox_id, text(&parsed["credential_inbox_id"]));
                assert!(!at(from - 3_600, &bytes)[0].is_ok, "not yet valid");
                assert!(!at(to + 3_600, &bytes)[0].is_ok, "expired");
            }
            // All in one request: a bad one harms no other.
            let from = number(&packages[0]["parsed"]["not_before"]);
            let cases = json["validation"]["cases"].as_array().unwrap();
            let all: Vec<Vec<u8>> = cases.iter().map(|case| bytes(&case["key_package"])).collect();
            for (case, response) in cases.iter().zip(at(from + 3_600, &all)) {
                // The service does not know whose package was asked for; that is compared by the caller.
                let is_asked =
                    hex::encode(&response.installation_public_key) == text(&case["requested_installation_id"]);
                assert_eq!(response.is_ok, case["accepted_by_reference"].as_bool().unwrap(), "{}", case["name"]);
                assert_eq!(is_asked, case["should_be_accepted"].as_bool().unwrap(), "{}", case["name"]);
            }
            packages.len() + cases.len()
        })
        .finish();
}

#[test]
fn vectors_group_messages_are_framed_as_recorded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let service = service();
    Family::load("wire/group_messages")
        .each(|file, json| {
            let messages = json["messages"].as_array().unwrap();
            for message in messages {
                let data = bytes(&message["data"]);
                let answer = runtime.block_on(group_messages(&service, &[&data, &[], &data]));
                let oks: Vec<bool> = answer.iter().map(|response| response.is_ok).collect();
                assert_eq!(oks, [true, false, true], "{file}");
                assert_eq!(answer[0], answer[2]);
                assert_eq!(answer[0].group_id, text(&message["group_id"]));
                assert_eq!(answer[0].is_commit, message["is_commit"].as_bool().unwrap());
            }
            messages.len()
        })
        .finish();
}

async fn group_messages(
    service: &ValidationService,
    messages: &[&[u8]],
) -> Vec<api::validate_group_messages_response::ValidationResponse> {
    let group_messages = messages.iter().map(|message| api::validate_group_messages_request::GroupMessage {
        group_message_bytes_tls_serialized: message.to_vec(),
    });
    let request = api::ValidateGroupMessagesRequest { group_messages: group_messages.collect() };
    let answer: api::ValidateGroupMessagesResponse = ask(service, "ValidateGroupMessages", &request).await.unwrap();
    answer.responses
}

#[tokio::test]
async fn group_messages_are_judged_one_by_one() {
    let long = [0xab; 40];
    let trailing = [mls_message(&[1], 3, b"x"), vec![7]].concat();
    let messages =
        [mls_message(&long, 1, b"x"), mls_message(&[], 1, b"x"), trailing, mls_message(&[1], 2, b"x"), vec![0; 9]];
    let answer = group_messages(&service(), &messages.each_ref().map(Vec::as_slice)).await;
    let read: Vec<_> = answer.iter().map(|r| (r.is_ok, r.group_id.as_str(), r.is_commit)).collect();
    let long = hex::encode(&long);
    assert_eq!(
        read,
        [(true, long.as_str(), false), (false, "", false), (true, "01", true), (true, "01", false), (false, "", false)]
    );
    assert!(answer.iter().all(|response| response.is_ok == response.error_message.is_empty()));
}

#[tokio::test]
async fn what_was_there_before_is_no_change() {
    let service = service();
    let account = Account::new(1);
    let registration = account.registration().to_proto();
    let answer = state_of(&service, vec![], vec![registration.clone()]).await.unwrap();
    assert_eq!(answer.state_diff.unwrap().new_members.len(), 2);
    let answer = state_of(&service, vec![registration.clone()], vec![]).await.unwrap();
    assert_eq!(answer.state_diff.unwrap(), proto::AssociationStateDiff::default());
    // Removed and added again in one call.
    let other = subrosa_identity::WalletKey::from_bytes(&[9; 32]).unwrap();
    let link = |time| account.link(&other, time).to_proto();
    let again = vec![account.unlink(&other, 3_000).to_proto(), link(4_000)];
    let answer = state_of(&service, vec![registration, link(2_000)], again).await.unwrap();
    assert_eq!(answer.state_diff.unwrap(), proto::AssociationStateDiff::default());
}

#[tokio::test]
async fn old_updates_are_verified_like_new_ones() {
    let service = service();
    let account = Account::new(1);
    let mut forged = account.registration().to_proto();
    forged.client_timestamp_ns += 1_000_000_000;
    let other = subrosa_identity::WalletKey::from_bytes(&[9; 32]).unwrap();
    let link = account.link(&other, 2_000).to_proto();
    let answer = state_of(&service, vec![forged], vec![link]).await;
    assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_same_question_has_the_same_answer() {
    let service = service();
    let registration = Account::new(1).registration().to_proto();
    let first = state_of(&service, vec![], vec![registration.clone()]).await.unwrap();
    assert_eq!(state_of(&service.clone(), vec![], vec![registration]).await.unwrap(), first);
}

#[tokio::test]
async fn work_is_bounded() {
    let service = service();
    let account = Account::new(1);
    let registration = account.registration().to_proto();
    refused(state_of(&service, vec![], vec![]).await, Code::InvalidArgument, "AssociationError::MissingIdentityUpdate");
    // 257 are looked at, 258 are not.
    let many = vec![registration.clone(); 257];
    let limit = state_of(&service, many.clone(), vec![]).await;
    refused(limit, Code::InvalidArgument, "AssociationError::MultipleCreate");
    refused(state_of(&service, many, vec![registration.clone()]).await, Code::InvalidArgument, "");
    let large =
        api::validate_group_messages_request::GroupMessage { group_message_bytes_tls_serialized: vec![0; 25 << 20] };
    let request = api::ValidateGroupMessagesRequest { group_messages: vec![large] };
    let answer: Result<api::ValidateGroupMessagesResponse, _> = ask(&service, "ValidateGroupMessages", &request).await;
    assert_eq!(answer.unwrap_err().code(), Code::OutOfRange);
    // No time is left: nobody can tell, which is not no.
    let hurried = service.time_limit(Duration::ZERO);
    refused(state_of(&hurried, vec![], vec![registration]).await, Code::Unavailable, "");
}

#[tokio::test]
async fn it_is_served_on_an_address_of_its_own() {
    let node = Node::open(NodeConfig::in_memory()).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    let (outside, inside) = (node.serve(any).await.unwrap(), node.validation().serve(any).await.unwrap());
    let path = || format!("{PATH}GetAssociationState").parse().unwrap();
    let registration = Account::new(1).registration().to_proto();
    let request = api::GetAssociationStateRequest { old_updates: vec![], new_updates: vec![registration] };
    let call = async |url: String| {
        let channel = tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap();
        let mut client = Grpc::new(channel);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<_, api::GetAssociationStateResponse>::default();
        client.unary(tonic::Request::new(request.clone()), path(), codec).await.map(tonic::Response::into_inner)
    };
    let answer = call(inside.url()).await.unwrap();
    assert_eq!(answer.association_state.unwrap().members.len(), 2);
    // Nobody reaches it through the node.
    assert_eq!(call(outside.url()).await.unwrap_err().code(), Code::Unimplemented);
    inside.shutdown().await.unwrap();
    assert!(node.inbox_ids(&[Account::new(1).wallet.identifier()]).await.is_ok());
}

#[tokio::test]
async fn a_contract_wallet_nobody_can_ask_is_answered_with_an_error() {
    let question = |account_id: &str, hash: usize| identity_api::VerifySmartContractWalletSignatureRequestSignature {
        account_id: account_id.to_owned(),
        block_number: Some(7),
        signature: vec![1; 65],
        hash: vec![2; hash],
    };
    let address = Account::new(1).wallet.address();
    let signatures = vec![
        question(&format!("eip155:1:{address}"), 32),
        question("nobody", 32),
        question(&format!("eip155:1:{address}"), 31),
    ];
    let request = identity_api::VerifySmartContractWalletSignaturesRequest { signatures };
    let answer: identity_api::VerifySmartContractWalletSignaturesResponse =
        ask(&service(), "VerifySmartContractWalletSignatures", &request).await.unwrap();
    assert_eq!(answer.responses.len(), 3);
    assert!(answer.responses.iter().all(|response| !response.is_valid && response.error.is_some()));
}
