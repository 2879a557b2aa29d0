//! Which endpoint serves which chain.

use subrosa_chain::{ChainVerifier, ChainVerifierBuilder, EndpointError, VariableError};
use subrosa_identity::Verdict;

use crate::endpoint::{CHAIN, Reply, Script, check};

fn environment(variables: &[(&str, &str)]) -> Result<ChainVerifierBuilder, VariableError> {
    ChainVerifier::builder().environment(variables.iter().map(|(name, url)| ((*name).into(), (*url).into())))
}

fn chains(variables: &[(&str, &str)]) -> Vec<u64> {
    environment(variables).unwrap().build().chains().collect()
}

#[track_caller]
fn refused(url: &str, error: EndpointError) {
    assert_eq!(ChainVerifier::builder().endpoint(1, url).unwrap_err(), error, "{url}");
}

#[test]
fn an_endpoint_is_an_absolute_url_of_http() {
    for url in ["http://127.0.0.1:8545", "http://[::1]:1/path?key=1", "http://node.example"] {
        assert!(ChainVerifier::builder().endpoint(1, url).is_ok(), "{url}");
    }
    for url in ["", "localhost", "localhost:8545", "/path", "http://", "http://a b"] {
        refused(url, EndpointError::NotAUrl);
    }
    refused("ws://node.example", EndpointError::Scheme);
    refused("http://name:key@node.example", EndpointError::UserInfo);
}

#[test]
#[cfg(not(feature = "tls"))]
fn https_needs_its_feature() {
    refused("https://node.example", EndpointError::NoTls);
}

#[test]
#[cfg(feature = "tls")]
fn https_is_taken_with_its_feature() {
    assert!(ChainVerifier::builder().endpoint(1, "https://node.example").is_ok());
}

#[test]
fn the_environment_names_endpoints() {
    let url = "http://127.0.0.1:1";
    assert!(chains(&[]).is_empty());
    assert_eq!(chains(&[("CHAIN_RPC_8453", url), ("PATH", "/bin"), ("CHAIN_RPC_1", url)]), [1, 8453]);
    assert_eq!(chains(&[("ANVIL_URL", url)]), [31337]);
    assert!(chains(&[("ANVIL_URL", ""), ("CHAIN_RPC_10", "")]).is_empty());
}

#[test]
fn a_variable_that_is_meant_but_unusable_is_refused_by_name() {
    for (variable, value, reason) in [
        ("CHAIN_RPC_", "http://127.0.0.1:1", None),
        ("CHAIN_RPC_base", "http://127.0.0.1:1", None),
        ("CHAIN_RPC_+1", "http://127.0.0.1:1", None),
        ("CHAIN_RPC_18446744073709551616", "http://127.0.0.1:1", None),
        ("CHAIN_RPC_1", "node.example", Some(EndpointError::NotAUrl)),
        ("ANVIL_URL", "ipc://node", Some(EndpointError::Scheme)),
    ] {
        let error = environment(&[(variable, value)]).unwrap_err();
        assert_eq!(error, VariableError { variable: variable.into(), reason });
    }
}

#[tokio::test]
async fn the_local_chain_has_a_variable_that_goes_first() {
    let script = Script::honest().on("eth_chainId", Reply::Result("0x7a69".into()));
    let url = script.serve().await;
    let verifier = environment(&[("ANVIL_URL", &url), ("CHAIN_RPC_31337", "http://127.0.0.1:1")]).unwrap().build();
    let mut check = check(Some(1));
    check.account_id = subrosa_identity::AccountId::ethereum(31337, &check.account_id.address().unwrap()).unwrap();
    assert_eq!(verifier.verify(vec![check]).await[0].verdict, Verdict::Valid);
}

#[tokio::test]
async fn nothing_that_is_printed_has_the_address_of_an_endpoint() {
    let script = Script::honest();
    let builder = script.builder().await;
    assert!(!format!("{builder:?}").contains("secret-key"));
    let verifier = builder.build();
    assert!(!format!("{verifier:?}").contains("secret-key"));
    assert_eq!(verifier.chains().collect::<Vec<_>>(), [CHAIN]);
    script.clone().on("eth_call", Reply::Status(401));
    let answers = verifier.verify(vec![check(None)]).await;
    assert!(!format!("{answers:?}").contains("secret-key"));
}
