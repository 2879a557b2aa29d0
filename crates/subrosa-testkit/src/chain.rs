//! A chain whose contract wallets say what a test wants.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use subrosa_chain::ChainVerifier;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// The newest block of every such chain.
const NEWEST: u64 = 16;

/// What contract wallets say about their signatures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Says {
    /// They are ours.
    Yes,
    /// They are not ours.
    No,
    /// The endpoint fails.
    Failure,
    /// The endpoint never answers.
    Nothing,
}

/// A JSON-RPC endpoint that serves every chain.
pub struct FakeChain {
    address: SocketAddr,
    says: Arc<Mutex<Says>>,
    calls: watch::Receiver<usize>,
}

impl FakeChain {
    /// The newest block.
    pub const NEWEST: u64 = NEWEST;

    /// Starts an endpoint.
    pub async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let says = Arc::new(Mutex::new(says));
        let (counter, calls) = watch::channel(0);
        let (shared, counter) = (Arc::clone(&says), Arc::new(counter));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), Arc::clone(&counter)));
            }
        });
        Self { address, says, calls }
    }

    /// From now on wallets say something else.
    pub fn now_says(&self, says: Says) {
        *self.says.lock().expect("not poisoned") = says;
    }

    /// How often wallets were asked.
    pub fn calls(&self) -> usize {
        *self.calls.borrow()
    }

    /// Waits until wallets were asked so often.
    pub async fn asked(&self, times: usize) {
        self.calls.clone().wait_for(|calls| *calls >= times).await.expect("the endpoint runs");
    }

    /// A verifier that asks this endpoint about these chains.
    pub fn verifier(&self, chains: &[u64]) -> ChainVerifier {
        let mut builder = ChainVerifier::builder();
        for chain in chains {
            builder = builder.endpoint(*chain, &self.url(*chain)).expect("a good address");
        }
        builder.build()
    }

    /// Where a chain is served.
    pub fn url(&self, chain: u64) -> String {
        format!("http://{}/{chain}", self.address)
    }
}

async fn serve(stream: TcpStream, says: Arc<Mutex<Says>>, calls: Arc<watch::Sender<usize>>) {
    let mut stream = BufReader::new(stream);
    while let Some((chain, request)) = read(&mut stream).await {
        let result = match request["method"].as_str() {
            Some("eth_chainId") => json!({ "result": format!("{chain:#x}") }),
            Some("eth_blockNumber") => json!({ "result": format!("{NEWEST:#x}") }),
            _ => {
                calls.send_modify(|calls| *calls += 1);
                let said = *says.lock().expect("not poisoned");
                match said {
                    Says::Yes => json!({ "result": "0x01" }),
                    Says::No => json!({ "result": "0x00" }),
                    Says::Failure => json!({ "error": { "code": -32000, "message": "no" } }),
                    Says::Nothing => return std::future::pending().await,
                }
            }
        };
        let mut body = json!({ "jsonrpc": "2.0", "id": request["id"] });
        for (key, value) in result.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let body = body.to_string();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The chain named by the path, and the request.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<(u64, Value)> {
    let (mut chain, mut length) = (0, 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(path) = line.strip_prefix("post /") {
            chain = path.split(' ').next()?.parse().ok()?;
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        } else if line.is_empty() {
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.ok()?;
            return Some((chain, serde_json::from_slice(&body).ok()?));
        }
    }
}
