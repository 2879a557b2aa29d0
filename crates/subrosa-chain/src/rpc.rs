//! JSON-RPC over HTTP, as far as a chain is asked here: every parameter we send and every result we take is text.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use http::{Method, Request, Response, Uri, header, uri::Scheme};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{ChainError, EndpointError, question::read_hex};

/// The longest answer that is read, in bytes. A true one has some hundred; the reason of a revert may be longer.
pub(crate) const MAX_ANSWER: usize = 64 * 1024;

/// The error code that goes with the data of a reverted call.
const REVERTED: i64 = 3;

/// One place to send requests to.
pub(crate) struct Rpc {
    http: Http,
    uri: Uri,
    last_id: AtomicU64,
}

enum Http {
    Plain(Client<HttpConnector, String>),
    #[cfg(feature = "tls")]
    Tls(Client<hyper_rustls::HttpsConnector<HttpConnector>, String>),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    result: Option<String>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    code: i64,
    #[serde(default)]
    data: Value,
}

impl Rpc {
    /// A client for the endpoint at this address. Opens no connection yet.
    ///
    /// # Errors
    /// [`EndpointError`], all of its variants.
    pub(crate) fn new(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotAUrl)?;
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(EndpointError::NotAUrl);
        };
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        let http = if *scheme == Scheme::HTTP {
            Http::Plain(Client::builder(TokioExecutor::new()).build(HttpConnector::new()))
        } else if *scheme == Scheme::HTTPS {
            tls()?
        } else {
            return Err(EndpointError::Scheme);
        };
        Ok(Self { http, uri, last_id: AtomicU64::new(0) })
    }

    /// Sends one request and takes its result. `parameters` is a list.
    ///
    /// # Errors
    /// [`ChainError`] of what went wrong on the way or at the endpoint.
    pub(crate) async fn call(&self, method: &str, parameters: Value, limit: Duration) -> Result<String, ChainError> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let request = serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters });
        let body = tokio::time::timeout(limit, self.exchange(request.to_string()))
            .await
            .map_err(|_| ChainError::Timeout { limit })??;
        read(&body, id)
    }

    async fn exchange(&self, body: String) -> Result<Vec<u8>, ChainError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json")
            .body(body)
            .map_err(|_| ChainError::Unreachable)?;
        let response: Response<_> = match &self.http {
            Http::Plain(client) => client.request(request).await,
            #[cfg(feature = "tls")]
            Http::Tls(client) => client.request(request).await,
        }
        .map_err(|_| ChainError::Unreachable)?;
        if !response.status().is_success() {
            return Err(ChainError::Http { status: response.status().as_u16() });
        }
        let collected = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                ChainError::TooLarge { limit: MAX_ANSWER }
            } else {
                ChainError::Unreachable
            }
        })?;
        Ok(collected.to_bytes().to_vec())
    }
}

impl fmt::Debug for Rpc {
    /// Says no address: providers put the customer's key into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").finish_non_exhaustive()
    }
}

#[cfg(feature = "tls")]
fn tls() -> Result<Http, EndpointError> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
        .map_err(|_| EndpointError::Certificates)?
        .https_only()
        .enable_http1()
        .build();
    Ok(Http::Tls(Client::builder(TokioExecutor::new()).build(connector)))
}

#[cfg(not(feature = "tls"))]
fn tls() -> Result<Http, EndpointError> {
    Err(EndpointError::NoTls)
}

/// Reads the answer to the request of this number.
fn read(body: &[u8], id: u64) -> Result<String, ChainError> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| ChainError::Malformed)?;
    // A server that could not read the request does not know its number.
    if answer.id != id && !(answer.id.is_null() && answer.error.is_some()) {
        return Err(ChainError::Malformed);
    }
    match answer.error {
        Some(failure) => Err(refused(&failure)),
        None => answer.result.ok_or(ChainError::Malformed),
    }
}

/// A revert comes with its code, or with data under another code.
fn refused(failure: &Failure) -> ChainError {
    let data = failure.data.as_str().and_then(|text| text.strip_prefix("0x")).and_then(read_hex);
    match data {
        Some(mut data) => {
            data.truncate(ChainError::MAX_REVERT_DATA);
            ChainError::Reverted { data }
        }
        None if failure.code == REVERTED => ChainError::Reverted { data: Vec::new() },
        None => ChainError::Rpc { code: failure.code },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(body: &str, want: Result<&str, ChainError>) {
        assert_eq!(read(body.as_bytes(), 7), want.map(str::to_owned), "{body}");
    }

    #[test]
    fn an_answer_is_to_our_request() {
        reads(r#"{"jsonrpc":"2.0","id":7,"result":"0x01"}"#, Ok("0x01"));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"id":8,"result":"0x01"}"#,
            r#"{"id":"7","result":"0x01"}"#,
            r#"{"result":"0x01"}"#,
            r#"{"id":7}"#,
            r#"{"id":7,"result":null}"#,
            r#"{"id":7,"result":1}"#,
            r#"{"id":7,"result":["0x01"]}"#,
            r#"{"id":7,"result":"0x01"} "#.trim_end().strip_suffix('}').unwrap(),
            r#"{"id":8,"error":{"code":1}}"#,
        ] {
            reads(bad, Err(ChainError::Malformed));
        }
    }

    #[test]
    fn a_revert_is_told_from_other_refusals() {
        reads(r#"{"id":7,"error":{"code":-32601,"message":"no"}}"#, Err(ChainError::Rpc { code: -32601 }));
        reads(r#"{"id":null,"error":{"code":-32700}}"#, Err(ChainError::Rpc { code: -32700 }));
        reads(r#"{"id":7,"error":{"code":-1,"data":{"a":1}},"result":"0x01"}"#, Err(ChainError::Rpc { code: -1 }));
        reads(r#"{"id":7,"error":{"code":3,"data":"0x0a0b"}}"#, Err(ChainError::Reverted { data: vec![10, 11] }));
        reads(r#"{"id":7,"error":{"code":3}}"#, Err(ChainError::Reverted { data: vec![] }));
        reads(r#"{"id":7,"error":{"code":-32000,"data":"0x"}}"#, Err(ChainError::Reverted { data: vec![] }));
        let long = format!(r#"{{"id":7,"error":{{"code":3,"data":"0x{}"}}}}"#, "01".repeat(5000));
        reads(&long, Err(ChainError::Reverted { data: vec![1; ChainError::MAX_REVERT_DATA] }));
    }

    #[test]
    fn a_nested_answer_is_refused_without_harm() {
        reads(&"[".repeat(MAX_ANSWER), Err(ChainError::Malformed));
    }
}
