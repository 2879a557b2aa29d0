//! Our validator contract against the vectors of the published one.

use serde_json::{Value, json};
use subrosa_chain::ChainError;
use subrosa_identity::{AccountId, ChainCheck, Verdict};
use subrosa_vectors::{Family, bytes, text};

use crate::{
    abi,
    chain::{CHAIN, Chain, asked},
};

const VALIDATOR: &str = include_str!("../../../subrosa-chain/contracts/SignatureValidator.hex");

/// The zero address is no signer for ours.
const HARDENED: &str = "eoa_zero_address_bad_sig";

#[test]
fn vectors_validator_contract() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    Family::load("identity/smart_contract_wallet")
        .each(|_, file| runtime.block_on(replay(&file["validator_contract"])))
        .finish();
}

async fn replay(group: &Value) -> usize {
    let chain = Chain::running();
    for (address, code) in group["accounts"].as_object().into_iter().flatten() {
        chain.set_code(address, &format!("0x{}", text(code))).await;
    }
    // The code is there in every block from here on.
    chain.ask("evm_mine", json!([])).await;
    let block = chain.block().await;
    let (mut yes, mut no, mut reverts) = (0, 0, 0);
    let cases = group["cases"].as_array().map_or(&[][..], Vec::as_slice);
    for case in cases {
        let name = text(&case["name"]);
        let want = if name == HARDENED { "00" } else { text(&case["result"]) };
        assert_eq!(created(&chain, case, block).await, want, "{name}");
        verifier_agrees(&chain, case, block, want).await;
        match want {
            "01" => yes += 1,
            "00" => no += 1,
            _ => reverts += 1,
        }
    }
    println!("validator contract: {yes} valid, {no} invalid, {reverts} reverted");
    cases.len()
}

/// What the contract-creating call gives, in the notation of the vectors.
async fn created(chain: &Chain, case: &Value, block: u64) -> String {
    let arguments = [abi::word(text(&case["signer"])), text(&case["hash"]).into(), abi::number(96)].concat();
    let data = format!("0x{}{arguments}{}", VALIDATOR.trim(), abi::bytes(&bytes(&case["signature"])));
    match chain.request("eth_call", json!([{ "data": data }, format!("{block:#x}")])).await {
        Ok(returned) => text(&returned).trim_start_matches("0x").to_owned(),
        Err(error) => format!("revert:{}", reason(&abi::unhex(error["data"].as_str().unwrap_or_default()))),
    }
}

/// Our verifier makes of it what the specification says.
async fn verifier_agrees(chain: &Chain, case: &Value, block: u64, want: &str) {
    let name = text(&case["name"]);
    let account_id = AccountId::ethereum(CHAIN, text(&case["signer"])).unwrap();
    let hash = bytes(&case["hash"]).try_into().unwrap();
    let check = ChainCheck { account_id, hash, signature: bytes(&case["signature"]), block_number: Some(block) };
    let answer = asked(&chain.verifier(), check).await;
    match (want, answer.verdict, answer.error) {
        ("01", Verdict::Valid, None) | ("00", Verdict::Invalid, None) => {}
        (_, Verdict::Invalid, Some(ChainError::ZeroAddress)) if name == HARDENED => {}
        (_, Verdict::Unknown, Some(ChainError::Reverted { data })) => {
            assert_eq!(format!("revert:{}", reason(&data)), want, "{name}");
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// The text in the data of a revert: selector, offset, length, text.
fn reason(data: &[u8]) -> String {
    match data {
        [] => "(no data)".into(),
        data => String::from_utf8_lossy(&data[68..68 + usize::from(data[67])]).into_owned(),
    }
}
