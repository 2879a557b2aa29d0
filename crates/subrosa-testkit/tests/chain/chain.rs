//! The chain, as its own users see it, and the wallets on it.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Request;
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use subrosa_chain::{ChainAnswer, ChainVerifier};
use subrosa_identity::{AccountId, ChainCheck, WalletKey, eip191_hash};

use crate::abi;

/// The number of the chain.
pub(crate) const CHAIN: u64 = 31337;

/// What the wallets of the tests sign.
pub(crate) const TEXT: &str = "XMTP : Authenticate to inbox";

/// The chain that the task started.
pub(crate) struct Chain {
    url: String,
    client: Client<HttpConnector, String>,
}

impl Chain {
    pub(crate) fn running() -> Self {
        let url = std::env::var("SUBROSA_ANVIL").expect("`cargo xtask chain` says where the chain is");
        Self { url, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A verifier that asks this chain.
    pub(crate) fn verifier(&self) -> ChainVerifier {
        ChainVerifier::builder().endpoint(CHAIN, &self.url).unwrap().build()
    }

    /// Result or error of a request.
    pub(crate) async fn request(&self, method: &str, parameters: Value) -> Result<Value, Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": parameters }).to_string();
        let request = Request::post(&self.url).header("content-type", "application/json").body(body).unwrap();
        let response = self.client.request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        let mut answer: Value = serde_json::from_slice(&response).unwrap();
        match answer["error"].take() {
            Value::Null => Ok(answer["result"].take()),
            error => Err(error),
        }
    }

    /// The text that a request results in.
    pub(crate) async fn ask(&self, method: &str, parameters: Value) -> String {
        let result = self.request(method, parameters).await.unwrap_or_else(|error| panic!("{method}: {error}"));
        result.as_str().unwrap_or_default().to_owned()
    }

    /// The newest block.
    pub(crate) async fn block(&self) -> u64 {
        let text = self.ask("eth_blockNumber", json!([])).await;
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    }

    /// Puts this code at an address, in a block of its own.
    pub(crate) async fn set_code(&self, address: &str, code: &str) {
        self.ask("anvil_setCode", json!([address, code])).await;
    }

    /// Deploys a contract; answers its address.
    pub(crate) async fn deploy(&self, code: &str, arguments: &str) -> String {
        // A sender of its own: two transactions of one sender at the same time are in each other's way.
        static SENDERS: AtomicU64 = AtomicU64::new(0xdeb1);
        let sender = format!("0x{:040x}", SENDERS.fetch_add(1, Ordering::Relaxed));
        self.open_account(&sender).await;
        let data = format!("0x{}{arguments}", code.trim());
        self.send(json!({ "from": sender, "data": data })).await["contractAddress"].as_str().unwrap().to_owned()
    }

    /// Calls a contract from an address that need not have signed; answers once it is in a block.
    pub(crate) async fn transact(&self, from: &str, to: &str, data: &str) {
        self.open_account(from).await;
        let receipt = self.send(json!({ "from": from, "to": to, "data": data })).await;
        assert_eq!(receipt["status"], "0x1");
    }

    /// Lets transactions come from an address, and gives it what they cost.
    async fn open_account(&self, address: &str) {
        self.ask("anvil_impersonateAccount", json!([address])).await;
        self.ask("anvil_setBalance", json!([address, "0xde0b6b3a7640000"])).await;
    }

    async fn send(&self, transaction: Value) -> Value {
        let hash = self.ask("eth_sendTransaction", json!([transaction])).await;
        loop {
            let receipt = self.request("eth_getTransactionReceipt", json!([hash])).await.unwrap();
            if !receipt.is_null() {
                return receipt;
            }
        }
    }
}

/// A key that nobody else in these tests has.
pub(crate) fn key(number: u8) -> WalletKey {
    WalletKey::from_bytes(&[number; 32]).unwrap()
}

/// The question whether a wallet signed [`TEXT`].
pub(crate) fn check(address: &str, signature: &[u8], block_number: Option<u64>) -> ChainCheck {
    let account_id = AccountId::ethereum(CHAIN, address).unwrap();
    ChainCheck { account_id, hash: eip191_hash(TEXT), signature: signature.to_vec(), block_number }
}

/// What a verifier answers to one question.
pub(crate) async fn asked(verifier: &ChainVerifier, check: ChainCheck) -> ChainAnswer {
    verifier.verify(vec![check]).await.pop().unwrap()
}

/// A contract wallet that its owner's key speaks for.
pub(crate) async fn owned_wallet(chain: &Chain, owner: &WalletKey) -> String {
    let code = include_str!("../../contracts/OwnedWallet.hex");
    chain.deploy(code, &abi::word(&owner.address())).await
}
