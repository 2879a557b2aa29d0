//! Vectors about contract wallets: what is asked, what is published, and what the answers come to.

use prost::Message as _;
use serde_json::Value;
use subrosa_identity::{
    AccountId, AccountIdError, AssociationError, AssociationState, ChainCheck, ChainVerdicts, DecodeError, Identifier,
    IdentityUpdate, SignatureRequest, SignatureRequestError, UnverifiedSignature, Verdict, VerifyError, eip191_hash,
    inbox_id,
};
use subrosa_proto::xmtp::identity::{api::v1 as api, associations as proto};
use subrosa_types::UnixNanos;
use subrosa_vectors::{Family, bytes, list, number, text};

use crate::{
    vectors_files::count,
    world::{verdicts_for, wallet},
};

const NO_CHAIN: ChainVerdicts = ChainVerdicts::none();

#[test]
fn vectors_smart_contract_wallet() {
    Family::load("identity/smart_contract_wallet")
        .each(|_, file| {
            let remote = &file["remote_verification"];
            if !remote.is_null() {
                assert_eq!(eip191_hash(text(&remote["text"]))[..], bytes(&remote["eip191_hash"]));
                list(&remote["requests"]).iter().for_each(check_request);
                check_signing(remote);
                check_published_update(remote);
                check_errors(&remote["errors"]);
            }
            for case in list(&file["account_ids"]["cases"]) {
                check_account_id(case);
            }
            count(remote, &["requests"]) + count(&file["account_ids"], &["cases"])
        })
        .finish();
}

fn check_of(request: &Value) -> ChainCheck {
    let block_number = &request["block_number"];
    ChainCheck {
        account_id: AccountId::parse(text(&request["account_id"])).unwrap(),
        hash: bytes(&request["hash"]).try_into().unwrap(),
        signature: bytes(&request["signature"]),
        block_number: (!block_number.is_null()).then(|| number(block_number)),
    }
}

/// The question as message. Whoever sends it has a test of its own that its encoding is this.
fn check_request(request: &Value) {
    let check = check_of(request);
    let message = api::VerifySmartContractWalletSignaturesRequest::decode(&bytes(&request["request"])[..]).unwrap();
    let [asked] = &message.signatures[..] else { panic!("one question") };
    assert_eq!(asked.account_id, check.account_id.as_str());
    assert_eq!(asked.block_number, check.block_number);
    assert_eq!(asked.signature, check.signature);
    assert_eq!(asked.hash, check.hash);
}

/// A signature added to a request is asked about as recorded, with the block that its caller named, or none.
fn check_signing(remote: &Value) {
    for request in list(&remote["requests"]) {
        let check = check_of(request);
        if check.hash != eip191_hash(text(&remote["text"])) {
            continue;
        }
        let (chain_id, address) = (check.account_id.chain_id().unwrap(), check.account_id.address().unwrap());
        let signature =
            UnverifiedSignature::contract_wallet(chain_id, &address, check.signature.clone(), check.block_number);
        assert_eq!(signature.unwrap().chain_check(text(&remote["text"])), Some(check));
    }
}

/// The client asks the same question for every slot; each different one is listed once here.
fn check_published_update(remote: &Value) {
    let wire = bytes(&remote["published_update"]);
    let update = IdentityUpdate::from_bytes(&wire).unwrap();
    assert_eq!(update.to_bytes(), wire);
    assert_eq!(update.signature_text(), text(&remote["text"]));
    let slots = update.actions().iter().flat_map(|action| action.signatures());
    let asked: Vec<ChainCheck> = slots.filter_map(|slot| slot.chain_check(text(&remote["text"]))).collect();
    let recorded = list(&remote["requests"]).iter().filter(|r| text(&r["when"]).starts_with("registration"));
    assert_eq!(asked, recorded.map(check_of).collect::<Vec<_>>());
    let mut once = asked;
    once.dedup();
    assert_eq!(update.chain_checks(), once);

    assert_eq!(update.verify(&NO_CHAIN), Err(VerifyError::ChainUnknown));
    let rejected = update.verify(&verdicts_for(&update, Verdict::Invalid));
    assert_eq!(rejected, Err(VerifyError::ContractWalletRejected));
    let accepted = update.verify(&verdicts_for(&update, Verdict::Valid)).unwrap();
    let state = AssociationState::apply(None, &accepted).unwrap();
    let creator = state.recovery_identifier().into();
    assert_eq!(state.member(&creator).unwrap().added_on_chain_id, once[0].account_id.chain_id().ok());
}

/// The code in brackets is what we report too.
fn check_errors(errors: &Value) {
    let code = |message: &Value| text(message).split_once(']').map(|(code, _)| code[1..].to_owned());
    for (when, message) in errors.as_object().into_iter().flatten() {
        match when.as_str() {
            "verifier_returns_no_block_number" => {
                assert_eq!(code(message).as_deref(), Some(add_answered(Verdict::Valid).label()));
            }
            "verifier_says_invalid" => {
                assert_eq!(code(message).as_deref(), Some(add_answered(Verdict::Invalid).label()));
            }
            // Words without a code. A wallet is named by its address.
            "passkey_identifier_given" => {
                let passkey = "02".repeat(33);
                let refused = UnverifiedSignature::contract_wallet(1, &passkey, Vec::new(), None);
                assert_eq!(refused, Err(AccountIdError::Address));
            }
            other => panic!("unknown error {other}"),
        }
    }
}

/// What adding a signature without a block comes to when the verifier names none.
fn add_answered(verdict: Verdict) -> SignatureRequestError {
    let owner = wallet(1).identifier();
    let inbox = inbox_id(&owner, 1).unwrap();
    let mut request = SignatureRequest::builder(inbox, UnixNanos::EPOCH).create_inbox(owner.clone(), 1).request();
    let signature = UnverifiedSignature::contract_wallet(1, &owner.text(), vec![0xc0], None).unwrap();
    let check = request.chain_check(&signature).unwrap();
    request.add_signature(signature, &ChainVerdicts::from_iter([(check, verdict)])).unwrap_err()
}

/// What the creation of an inbox by this account comes to when its verifier accepts everything, through every stage.
fn check_account_id(case: &Value) {
    let account = text(&case["account_id"]);
    let address = account.rsplit(':').next().unwrap_or_default().to_lowercase();
    // The address that the case creates its inbox with.
    let prefixed = if address.starts_with("0x") { address } else { format!("0x{address}") };
    let identifier = Identifier::Ethereum(prefixed);
    let inbox = inbox_id(&identifier, 1).map_or_else(|_| "00".repeat(32), |id| id.to_hex());
    let signature = proto::SmartContractWalletSignature {
        account_id: account.to_owned(),
        block_number: 0,
        signature: vec![1, 2, 3],
    };
    let create = proto::CreateInbox {
        initial_identifier: identifier.text(),
        nonce: 1,
        initial_identifier_signature: Some(proto::Signature {
            signature: Some(proto::signature::Signature::Erc6492(signature)),
        }),
        initial_identifier_kind: proto::IdentifierKind::Ethereum.into(),
        relying_party: None,
    };
    let action = proto::IdentityAction { kind: Some(proto::identity_action::Kind::CreateInbox(create)) };
    let message = proto::IdentityUpdate { actions: vec![action], client_timestamp_ns: 1, inbox_id: inbox };

    let decoded = IdentityUpdate::from_proto(message);
    assert_eq!(decoded.is_ok(), case["parses"].as_bool().unwrap(), "{case}");
    let asked = decoded.as_ref().is_ok_and(|update| !update.chain_checks().is_empty());
    assert_eq!(asked, case["remote_verification_requested"].as_bool().unwrap_or(asked), "{case}");
    assert_eq!(outcome(decoded), text(&case["outcome"]), "{case}");
}

fn outcome(decoded: Result<IdentityUpdate, DecodeError>) -> String {
    let update = match decoded {
        Ok(update) => update,
        Err(error) => return format!("{error:?}"),
    };
    let verified = match update.verify(&verdicts_for(&update, Verdict::Valid)) {
        Ok(verified) => verified,
        Err(error) => return format!("{error:?}"),
    };
    match AssociationState::apply(None, &verified) {
        Ok(state) => {
            let [member] = state.members()[..] else { panic!("one member") };
            format!("ok chain {}", member.added_on_chain_id.unwrap())
        }
        Err(AssociationError::ChainIdMismatch { .. }) => "ChainIdMismatch".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}
