//! Endpoints that fail or lie: each has its error, and none is taken for a yes or a no.

use std::time::Duration;

use serde_json::json;
use subrosa_chain::{ChainAnswer, ChainError};
use subrosa_identity::Verdict;

use crate::endpoint::{CHAIN, Reply, Script, check, check_of};

/// How long a request may take where none is left unanswered.
const PATIENT: Duration = Duration::from_secs(60);

/// How long a request may take where one is: the test waits that long.
const BRIEF: Duration = Duration::from_millis(100);

/// Asks an endpoint that is honest but for its reply to one method.
async fn fails(method: &str, reply: Reply, error: ChainError) {
    let script = Script::honest().on(method, reply.clone());
    let limit = if let ChainError::Timeout { limit } = error { limit } else { PATIENT };
    let verifier = script.builder().await.timeout(limit).build();
    for block in [Some(3), None] {
        if method == "eth_blockNumber" && block.is_some() {
            continue;
        }
        let answers = verifier.verify(vec![check(block)]).await;
        let [ChainAnswer { verdict: Verdict::Unknown, error: Some(got), .. }] = &answers[..] else {
            panic!("{method} {reply:?}: {answers:?}")
        };
        assert_eq!(*got, error, "{method} {reply:?}");
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_error_whatever_was_asked() {
    for method in ["eth_chainId", "eth_blockNumber", "eth_call"] {
        for (reply, error) in [
            (Reply::Silence, ChainError::Timeout { limit: BRIEF }),
            (Reply::HangUp, ChainError::Unreachable),
            (Reply::Endless, ChainError::TooLarge { limit: 65536 }),
            (Reply::Status(500), ChainError::Http { status: 500 }),
            (Reply::Status(429), ChainError::Http { status: 429 }),
            (Reply::Status(302), ChainError::Http { status: 302 }),
            (Reply::Body("<html>".into()), ChainError::Malformed),
            (Reply::Body(String::new()), ChainError::Malformed),
            (Reply::Body("[".repeat(60_000)), ChainError::Malformed),
            (Reply::Body(r#"{"jsonrpc":"2.0","id":999,"result":"0x01"}"#.into()), ChainError::Malformed),
            (Reply::Result(json!("yes")), ChainError::Malformed),
            (Reply::Result(json!(1)), ChainError::Malformed),
            (Reply::Result(json!("0x")), ChainError::Malformed),
            (Reply::Result(json!(null)), ChainError::Malformed),
            (Reply::Error(json!({ "code": -32000, "message": "no" })), ChainError::Rpc { code: -32000 }),
            (
                Reply::Error(json!({ "code": 3, "data": "0x08c379a0" })),
                ChainError::Reverted { data: vec![8, 195, 121, 160] },
            ),
            (Reply::Error(json!("no")), ChainError::Malformed),
        ] {
            fails(method, reply, error).await;
        }
    }
}

#[tokio::test]
async fn an_endpoint_of_another_chain_is_not_believed() {
    let script = Script::honest().on("eth_chainId", Reply::Result(json!("0x6")));
    let verifier = script.builder().await.build();
    let error = Some(ChainError::WrongChain { want: CHAIN, got: 6 });
    for _ in 0..3 {
        let answers = verifier.verify(vec![check(Some(1))]).await;
        assert_eq!(answers, [ChainAnswer { verdict: Verdict::Unknown, block_number: Some(1), error: error.clone() }]);
    }
    assert_eq!(script.methods(), ["eth_chainId"]);
}

#[tokio::test]
async fn an_endpoint_that_moved_to_the_right_chain_is_believed_after_a_while() {
    let script = Script::honest().on("eth_chainId", Reply::Result(json!("0x6")));
    let verifier = script.builder().await.build();
    verifier.verify(vec![check(Some(1))]).await;
    script.clone().on("eth_chainId", Reply::Result(json!("0x5")));
    assert_eq!(verifier.verify(vec![check(Some(1))]).await[0].verdict, Verdict::Unknown);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    assert_eq!(verifier.verify(vec![check(Some(1))]).await[0].verdict, Verdict::Valid);
    assert_eq!(script.count("eth_chainId"), 2);
}

#[tokio::test]
async fn an_endpoint_that_did_not_say_its_chain_is_asked_again() {
    let script = Script::honest().on("eth_chainId", Reply::Status(503));
    let verifier = script.builder().await.build();
    assert_eq!(verifier.verify(vec![check(Some(1))]).await[0].error, Some(ChainError::Http { status: 503 }));
    script.clone().on("eth_chainId", Reply::Result(json!("0x5")));
    assert_eq!(verifier.verify(vec![check(Some(1))]).await[0].verdict, Verdict::Valid);
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let verifier = subrosa_chain::ChainVerifier::builder().endpoint(CHAIN, &url).unwrap().build();
    assert_eq!(verifier.verify(vec![check(None)]).await[0].error, Some(ChainError::Unreachable));
}

#[tokio::test]
async fn a_silent_chain_holds_up_its_own_checks_only_and_not_one_after_another() {
    let silent = Script::honest().on("eth_chainId", Reply::Silence).serve().await;
    let limit = Duration::from_secs(1);
    let verifier = Script::honest().builder().await.endpoint(6, &silent).unwrap().timeout(limit).build();
    let other = "eip155:6:0xe0c68521b05d6daecf04c229f0941f6526145473";
    let mut checks: Vec<_> = (0..100).map(|block| check_of(other, Some(block))).collect();
    checks.push(check(Some(1)));
    // Waiting for a place, and then for one request: far from a hundred time-outs.
    let answers = tokio::time::timeout(10 * limit, verifier.verify(checks)).await.unwrap();
    let (mine, silent) = answers.split_last().unwrap();
    assert_eq!(mine.verdict, Verdict::Valid);
    for answer in silent {
        assert!(matches!(answer.error, Some(ChainError::Timeout { .. } | ChainError::Busy)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_reason_to_revert_is_kept_up_to_a_limit() {
    let data = format!("0x{}", "ab".repeat(5000));
    let reply = Reply::Error(json!({ "code": 3, "message": "execution reverted", "data": data }));
    fails("eth_call", reply, ChainError::Reverted { data: vec![0xab; ChainError::MAX_REVERT_DATA] }).await;
}
