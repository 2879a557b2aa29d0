//! Wallets that live: deployed, not yet deployed, with a new owner, broken.

use std::time::Duration;

use serde_json::json;
use subrosa_chain::{ChainAnswer, ChainError, ChainVerifier};
use subrosa_identity::{AccountId, Verdict, WalletKey};

use crate::{
    abi,
    chain::{CHAIN, Chain, TEXT, asked, check, key, owned_wallet},
    relay::Relay,
};

fn said(verdict: Verdict, block: u64) -> ChainAnswer {
    ChainAnswer { verdict, block_number: Some(block), error: None }
}

#[tokio::test]
async fn a_deployed_wallet_says_whether_its_owner_signed() {
    let chain = Chain::running();
    let owner = key(1);
    let wallet = owned_wallet(&chain, &owner).await;
    let (verifier, block) = (chain.verifier(), chain.block().await);
    for (signature, verdict) in [
        (owner.sign(TEXT), Verdict::Valid),
        (owner.sign("another text"), Verdict::Invalid),
        (key(2).sign(TEXT), Verdict::Invalid),
        ([0; 65], Verdict::Invalid),
    ] {
        assert_eq!(asked(&verifier, check(&wallet, &signature, Some(block))).await, said(verdict, block));
    }
}

#[tokio::test]
async fn a_question_without_block_is_answered_with_the_block_that_was_looked_at() {
    let chain = Chain::running();
    let owner = key(3);
    let wallet = owned_wallet(&chain, &owner).await;
    let before = chain.block().await;
    let answer = asked(&chain.verifier(), check(&wallet, &owner.sign(TEXT), None)).await;
    let after = chain.block().await;
    assert_eq!(answer.verdict, Verdict::Valid);
    // Other tests make blocks too.
    assert!((before..=after).contains(&answer.block_number.unwrap()));
}

#[tokio::test]
async fn a_wallet_before_its_deployment_needs_the_wrapped_signature_and_after_it_neither() {
    let chain = Chain::running();
    let owner = key(4);
    let factory = chain.deploy(include_str!("../../contracts/WalletFactory.hex"), "").await;
    let arguments = [abi::word(&owner.address()), abi::number(7)];
    let predict = json!([{ "to": factory, "data": abi::call("predict(address,bytes32)", &arguments) }, "latest"]);
    let wallet = format!("0x{}", &chain.ask("eth_call", predict).await[26..]);
    let create = abi::call("create(address,bytes32)", &arguments);
    let wrapped = |signature: &[u8]| wrapped(&factory, &create, signature);
    let (plain, forged) = (owner.sign(TEXT), key(5).sign(TEXT));

    let (verifier, before) = (chain.verifier(), chain.block().await);
    assert_eq!(asked(&verifier, check(&wallet, &wrapped(&plain), Some(before))).await, said(Verdict::Valid, before));
    assert_eq!(asked(&verifier, check(&wallet, &wrapped(&forged), Some(before))).await, said(Verdict::Invalid, before));
    // To a key of that address, which nobody has, it is a signature by somebody else.
    assert_eq!(asked(&verifier, check(&wallet, &plain, Some(before))).await, said(Verdict::Invalid, before));
    assert_eq!(chain.ask("eth_getCode", json!([wallet, "latest"])).await, "0x", "asking deploys nothing");

    chain.transact(&owner.address(), &factory, &create).await;
    let after = chain.block().await;
    for (signature, verdict) in [
        (plain.to_vec(), Verdict::Valid),
        (wrapped(&plain), Verdict::Valid),
        (forged.to_vec(), Verdict::Invalid),
        (wrapped(&forged), Verdict::Invalid),
    ] {
        assert_eq!(asked(&verifier, check(&wallet, &signature, Some(after))).await, said(verdict, after));
    }
    // History stays: a new verifier, which remembers nothing, sees the chain as it was.
    let answer = asked(&chain.verifier(), check(&wallet, &wrapped(&plain), Some(before))).await;
    assert_eq!(answer, said(Verdict::Valid, before));
}

/// A signature that says how to deploy the wallet first (ERC-6492).
fn wrapped(factory: &str, create: &str, signature: &[u8]) -> Vec<u8> {
    let body = abi::word_and_two_of_bytes(&abi::word(factory), &abi::unhex(create), signature);
    abi::unhex(&(body + &"6492".repeat(16)))
}

#[tokio::test]
async fn a_new_owner_does_not_invalidate_what_the_old_one_signed_before() {
    let chain = Chain::running();
    let (old, new) = (key(6), key(7));
    let wallet = owned_wallet(&chain, &old).await;
    let before = chain.block().await;
    chain.transact(&old.address(), &wallet, &abi::call("setOwner(address)", &[abi::word(&new.address())])).await;
    let after = chain.block().await;
    assert!(after > before);

    let verifier = chain.verifier();
    let at = |signer: &WalletKey, block| check(&wallet, &signer.sign(TEXT), Some(block));
    let answers = verifier.verify(vec![at(&old, before), at(&new, before), at(&old, after), at(&new, after)]).await;
    let verdicts: Vec<Verdict> = answers.iter().map(|a| a.verdict).collect();
    assert_eq!(verdicts, [Verdict::Valid, Verdict::Invalid, Verdict::Invalid, Verdict::Valid]);
}

#[tokio::test]
async fn a_broken_wallet_says_neither_yes_nor_no() {
    let chain = Chain::running();
    let signature = key(8).sign(TEXT);
    for (name, code, reason) in [
        ("reverting", include_str!("../../contracts/RevertingWallet.hex"), Some("out of order")),
        ("dirty", include_str!("../../contracts/DirtyWallet.hex"), None),
        ("verbose", include_str!("../../contracts/VerboseWallet.hex"), Some("")),
        ("endless", include_str!("../../contracts/EndlessWallet.hex"), None),
    ] {
        let wallet = chain.deploy(code, "").await;
        let answer = asked(&chain.verifier(), check(&wallet, &signature, Some(chain.block().await))).await;
        assert_eq!(answer.verdict, Verdict::Unknown, "{name}");
        let error = answer.error.unwrap();
        assert!(error.is_retryable());
        match (error, reason) {
            (ChainError::Reverted { data }, Some(reason)) => {
                assert!(data.len() <= ChainError::MAX_REVERT_DATA);
                assert!(String::from_utf8_lossy(&data).contains(reason), "{name}: {data:?}");
            }
            (ChainError::Reverted { .. } | ChainError::Rpc { .. } | ChainError::Timeout { .. }, None) => {}
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_is_remembered_when_the_chain_is_gone() {
    let chain = Chain::running();
    let owner = key(9);
    let wallet = owned_wallet(&chain, &owner).await;
    let block = chain.block().await;
    let relay = Relay::to(&chain).await;
    let verifier = ChainVerifier::builder().endpoint(CHAIN, &relay.url).unwrap().build();
    let question = check(&wallet, &owner.sign(TEXT), Some(block));
    assert_eq!(asked(&verifier, question.clone()).await, said(Verdict::Valid, block));
    relay.set(false);
    assert_eq!(asked(&verifier, question).await, said(Verdict::Valid, block));
    let other = asked(&verifier, check(&wallet, &key(10).sign(TEXT), Some(block))).await;
    assert_eq!((other.verdict, other.error), (Verdict::Unknown, Some(ChainError::Unreachable)));
}

#[tokio::test]
async fn a_real_chain_under_another_number_is_not_believed() {
    let chain = Chain::running();
    let verifier = ChainVerifier::builder().endpoint(1, chain.url()).unwrap().build();
    let mut question = check(&owned_wallet(&chain, &key(11)).await, &key(11).sign(TEXT), None);
    question.account_id = AccountId::ethereum(1, &question.account_id.address().unwrap()).unwrap();
    let answer = asked(&verifier, question).await;
    assert_eq!(
        (answer.verdict, answer.error),
        (Verdict::Unknown, Some(ChainError::WrongChain { want: 1, got: CHAIN }))
    );
}

#[tokio::test]
async fn a_block_that_the_chain_does_not_have_yet_has_no_answer() {
    let chain = Chain::running();
    let wallet = owned_wallet(&chain, &key(12)).await;
    let future = chain.block().await + 1_000_000;
    let answer = asked(&chain.verifier(), check(&wallet, &key(12).sign(TEXT), Some(future))).await;
    assert_eq!((answer.verdict, answer.block_number), (Verdict::Unknown, Some(future)));
    assert!(matches!(answer.error, Some(ChainError::Rpc { .. })), "{:?}", answer.error);
}

#[tokio::test]
async fn a_chain_that_falls_silent_times_out() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let limit = Duration::from_millis(50);
    let verifier = ChainVerifier::builder().endpoint(CHAIN, &url).unwrap().timeout(limit).build();
    let answer = asked(&verifier, check(&key(13).address(), &[0; 65], None)).await;
    assert_eq!(answer.error, Some(ChainError::Timeout { limit }));
}
