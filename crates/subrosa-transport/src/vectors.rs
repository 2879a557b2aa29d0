//! Vectors: questions about identities have the bytes that the official client sends.

use prost::Message;
use serde_json::Value;
use subrosa_identity::{AccountId, ChainCheck, Identifier};
use subrosa_proto::xmtp::identity::{api::v1 as api, associations::IdentifierKind};
use subrosa_types::SequenceId;
use subrosa_vectors::{Family, bytes, list, number, text};

use crate::answer;

#[test]
fn vectors_questions_about_identities() {
    Family::load("identity/identity_update_encoding")
        .each(|_, file| {
            let requests = list(&file["requests"]);
            for request in requests {
                assert_eq!(encoded(request), bytes(&request["bytes"]), "{}", request["name"]);
            }
            requests.len()
        })
        .finish();
}

#[test]
fn vectors_questions_about_contract_wallets() {
    Family::load("identity/smart_contract_wallet")
        .each(|_, file| {
            let requests = list(&file["remote_verification"]["requests"]);
            for request in requests {
                let block = &request["block_number"];
                let check = ChainCheck {
                    account_id: AccountId::parse(text(&request["account_id"])).unwrap(),
                    hash: bytes(&request["hash"]).try_into().unwrap(),
                    signature: bytes(&request["signature"]),
                    block_number: (!block.is_null()).then(|| number(block)),
                };
                assert_eq!(ask(vec![check]), bytes(&request["request"]), "{}", request["when"]);
            }
            requests.len()
        })
        .finish();
}

fn ask(checks: Vec<ChainCheck>) -> Vec<u8> {
    let signatures = checks.into_iter().map(answer::contract_request).collect();
    api::VerifySmartContractWalletSignaturesRequest { signatures }.encode_to_vec()
}

/// The request that we send for what a recorded one asks.
fn encoded(request: &Value) -> Vec<u8> {
    let decoded = list(&request["decoded"]);
    match text(&request["message"]) {
        "GetInboxIdsRequest" => {
            let identifier = |asked: &Value| {
                let name = text(&asked["identifier"]);
                if number(&asked["identifier_kind"]) == u64::from(IdentifierKind::Passkey as u8) {
                    Identifier::parse_passkey(name).unwrap()
                } else {
                    Identifier::parse_ethereum(name).unwrap()
                }
            };
            let requests = decoded.iter().map(|asked| answer::inbox_request(&identifier(asked))).collect();
            api::GetInboxIdsRequest { requests }.encode_to_vec()
        }
        "GetIdentityUpdatesRequest" => {
            let asked: Vec<_> = decoded
                .iter()
                .map(|asked| (text(&asked["inbox_id"]).parse().unwrap(), SequenceId(number(&asked["sequence_id"]))))
                .collect();
            answer::log_request(&asked).encode_to_vec()
        }
        "VerifySmartContractWalletSignaturesRequest" => {
            // The file shows the bytes only: they are read, asked again, and must be the same.
            let wire = api::VerifySmartContractWalletSignaturesRequest::decode(&bytes(&request["bytes"])[..]).unwrap();
            let check = |asked: api::VerifySmartContractWalletSignatureRequestSignature| ChainCheck {
                account_id: AccountId::parse(&asked.account_id).unwrap(),
                hash: asked.hash.try_into().unwrap(),
                signature: asked.signature,
                block_number: asked.block_number,
            };
            ask(wire.signatures.into_iter().map(check).collect())
        }
        other => panic!("unknown message {other}"),
    }
}
