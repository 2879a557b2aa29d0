//! An endpoint that does what a test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use subrosa_chain::{ChainVerifier, ChainVerifierBuilder};
use subrosa_identity::{AccountId, ChainCheck};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The chain that the tests ask about.
pub(crate) const CHAIN: u64 = 5;

/// What is done with one request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A well-formed answer with this result.
    Result(Value),
    /// A well-formed answer with this error.
    Error(Value),
    /// This as the body.
    Body(String),
    /// This HTTP status without a body.
    Status(u16),
    /// No answer, and the connection stays open.
    Silence,
    /// The connection is closed.
    HangUp,
    /// A body without end.
    Endless,
}

/// Replies by method, and what was asked so far.
#[derive(Clone, Default)]
pub(crate) struct Script {
    shared: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    replies: BTreeMap<String, Reply>,
    asked: Vec<(String, Value)>,
}

impl Script {
    /// A chain of number [`CHAIN`] whose newest block is 16 and whose wallets say yes.
    pub(crate) fn honest() -> Self {
        Self::default()
            .on("eth_chainId", Reply::Result(json!("0x5")))
            .on("eth_blockNumber", Reply::Result(json!("0x10")))
            .on("eth_call", Reply::Result(json!("0x01")))
    }

    pub(crate) fn on(self, method: &str, reply: Reply) -> Self {
        self.shared.lock().unwrap().replies.insert(method.to_owned(), reply);
        self
    }

    /// The methods called so far, in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.shared.lock().unwrap().asked.iter().map(|(method, _)| method.clone()).collect()
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.methods().iter().filter(|m| *m == method).count()
    }

    /// The parameters of the last call of a method.
    pub(crate) fn parameters(&self, method: &str) -> Value {
        let state = self.shared.lock().unwrap();
        state.asked.iter().rev().find(|(m, _)| m == method).unwrap().1.clone()
    }

    fn reply(&self, request: &Value) -> Reply {
        let mut state = self.shared.lock().unwrap();
        let method = request["method"].as_str().unwrap().to_owned();
        state.asked.push((method.clone(), request["params"].clone()));
        state.replies[&method].clone()
    }

    /// Starts an endpoint that follows the script, also as it is changed later; answers its address.
    pub(crate) async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/secret-key", listener.local_addr().unwrap());
        let script = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(script.clone().connection(stream));
            }
        });
        url
    }

    /// A builder that has an endpoint of this script for [`CHAIN`].
    pub(crate) async fn builder(&self) -> ChainVerifierBuilder {
        ChainVerifier::builder().endpoint(CHAIN, &self.serve().await).unwrap()
    }

    async fn connection(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await {
            let id = &request["id"];
            let body = match self.reply(&request) {
                Reply::Result(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
                Reply::Error(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string(),
                Reply::Body(body) => body,
                Reply::Status(status) => {
                    let head = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(head.as_bytes()).await.unwrap();
                    continue;
                }
                Reply::Silence => return std::future::pending().await,
                Reply::HangUp => return,
                Reply::Endless => return endless(stream).await,
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            if stream.write_all((head + &body).as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn endless(mut stream: BufReader<TcpStream>) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    while stream.write_all(chunk.as_bytes()).await.is_ok() {}
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().unwrap(),
            None if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    serde_json::from_slice(&body).ok()
}

/// A question about a wallet on [`CHAIN`].
pub(crate) fn check(block_number: Option<u64>) -> ChainCheck {
    check_of("eip155:5:0xe0c68521b05d6daecf04c229f0941f6526145473", block_number)
}

pub(crate) fn check_of(account: &str, block_number: Option<u64>) -> ChainCheck {
    let account_id = AccountId::parse(account).unwrap();
    ChainCheck { account_id, hash: [0xcd; 32], signature: vec![0xef; 65], block_number }
}
