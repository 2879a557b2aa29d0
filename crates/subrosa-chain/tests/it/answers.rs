//! What is asked, and what is made of an answer.

use serde_json::json;
use subrosa_chain::{ChainAnswer, ChainError, ChainVerifier};
use subrosa_identity::{AccountIdError, Verdict};

use crate::endpoint::{Reply, Script, check, check_of};

fn said(verdict: Verdict, block: u64) -> ChainAnswer {
    ChainAnswer { verdict, block_number: Some(block), error: None }
}

#[tokio::test]
async fn the_call_creates_a_contract_at_the_block_of_the_question() {
    let script = Script::honest();
    let verifier = script.builder().await.build();
    assert_eq!(verifier.verify(vec![check(Some(0))]).await, [said(Verdict::Valid, 0)]);
    assert_eq!(script.methods(), ["eth_chainId", "eth_call"]);
    let parameters = script.parameters("eth_call");
    let call = parameters[0].as_object().unwrap();
    assert_eq!(call.keys().collect::<Vec<_>>(), ["data"]);
    assert!(call["data"].as_str().unwrap().contains(&"cd".repeat(32)));
    assert_eq!(parameters[1], "0x0");
}

#[tokio::test]
async fn a_question_without_block_is_asked_about_the_newest() {
    let script = Script::honest().on("eth_call", Reply::Result(json!("0x00")));
    let verifier = script.builder().await.build();
    assert_eq!(verifier.verify(vec![check(None)]).await, [said(Verdict::Invalid, 16)]);
    assert_eq!(script.methods(), ["eth_chainId", "eth_blockNumber", "eth_call"]);
    assert_eq!(script.parameters("eth_call")[1], "0x10");
}

#[tokio::test]
async fn an_answer_about_a_given_block_is_remembered() {
    let script = Script::honest();
    let verifier = script.builder().await.build();
    verifier.verify(vec![check(Some(3))]).await;
    assert_eq!(verifier.clone().verify(vec![check(Some(3))]).await, [said(Verdict::Valid, 3)]);
    assert_eq!(script.count("eth_call"), 1);
    verifier.verify(vec![check(Some(4))]).await;
    assert_eq!(script.count("eth_call"), 2);
}

#[tokio::test]
async fn neither_failures_nor_answers_about_the_newest_block_are_remembered() {
    let script = Script::honest().on("eth_call", Reply::Status(500));
    let verifier = script.builder().await.build();
    assert_eq!(verifier.verify(vec![check(Some(3))]).await[0].error, Some(ChainError::Http { status: 500 }));
    script.clone().on("eth_call", Reply::Result(json!("0x01")));
    assert_eq!(verifier.verify(vec![check(Some(3))]).await, [said(Verdict::Valid, 3)]);
    for calls in 3..5 {
        verifier.verify(vec![check(None)]).await;
        assert_eq!(script.count("eth_call"), calls);
    }
}

#[tokio::test]
async fn answers_are_in_the_order_of_the_checks() {
    let script = Script::honest();
    let verifier = script.builder().await.build();
    let mut checks: Vec<_> = (0..200).map(|block| check(Some(block))).collect();
    checks[7] = check_of("eip155:6:0xe0c68521b05d6daecf04c229f0941f6526145473", Some(7));
    let answers = verifier.verify(checks).await;
    assert_eq!(answers.iter().map(|a| a.block_number.unwrap()).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    assert_eq!(answers.iter().filter(|a| a.verdict == Verdict::Valid).count(), 199);
    assert_eq!(answers[7].error, Some(ChainError::NoVerifier { chain_id: 6 }));
    assert_eq!(script.count("eth_chainId"), 1);
    assert_eq!(verifier.verify(vec![]).await, []);
}

#[tokio::test]
async fn an_account_that_no_chain_knows_is_answered_without_asking() {
    let script = Script::honest();
    let verifier = script.builder().await.build();
    for (account, error) in [
        ("eip155:5:0x0000000000000000000000000000000000000000", ChainError::ZeroAddress),
        ("eip155:5:0000000000000000000000000000000000000000", ChainError::ZeroAddress),
        ("eip155:5:0xabc", ChainError::Account(AccountIdError::Address)),
        ("eip155:x:0xe0c68521b05d6daecf04c229f0941f6526145473", ChainError::Account(AccountIdError::ChainId)),
        ("solana:5:0xe0c68521b05d6daecf04c229f0941f6526145473", ChainError::Account(AccountIdError::NotEip155)),
    ] {
        let answers = verifier.verify(vec![check_of(account, Some(1))]).await;
        assert_eq!(answers, [ChainAnswer { verdict: Verdict::Invalid, block_number: Some(1), error: Some(error) }]);
    }
    assert!(script.methods().is_empty());
}

#[tokio::test]
async fn an_address_without_prefix_is_the_same_wallet() {
    let script = Script::honest();
    let verifier = script.builder().await.build();
    verifier.verify(vec![check(Some(1))]).await;
    let with = script.parameters("eth_call");
    verifier.verify(vec![check_of("eip155:5:E0C68521B05D6DAECF04C229F0941F6526145473", Some(1))]).await;
    assert_eq!((script.count("eth_call"), script.parameters("eth_call")), (2, with));
}

#[tokio::test]
async fn a_chain_without_endpoint_has_no_answer() {
    let answers = ChainVerifier::builder().build().verify(vec![check(Some(1)), check(None)]).await;
    for answer in answers {
        assert_eq!(answer.verdict, Verdict::Unknown);
        assert_eq!(answer.error, Some(ChainError::NoVerifier { chain_id: 5 }));
    }
}
