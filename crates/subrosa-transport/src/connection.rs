//! Connections to a node (transport §2).

use std::time::Duration;

use tonic::transport::Endpoint;

/// Version of the official client whose behaviour this client follows; nodes may refuse older ones (transport §9).
const LIBXMTP_VERSION: &str = "1.10.0";

/// What a connection is made with. The default is what the official client does (transport §2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConnectOptions {
    /// Sent as `x-app-version`; may be empty. Characters other than visible ASCII are replaced by `?`.
    pub app_version: String,
    /// Sent as `x-libxmtp-version`.
    pub client_version: String,
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time until the answer to a call begins. Does not bound an open stream.
    pub call_timeout: Duration,
    /// Time between two HTTP/2 pings; they are sent on idle connections too.
    pub ping_interval: Duration,
    /// Longest time to wait for the answer to a ping before the connection is given up.
    pub ping_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            app_version: String::new(),
            client_version: LIBXMTP_VERSION.to_owned(),
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(120),
            ping_interval: Duration::from_secs(16),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

/// Why an address cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The text is no URL.
    #[error("the address is no URL")]
    Malformed(#[source] tonic::transport::Error),
    /// The scheme is neither `http` nor `https`.
    #[error("the scheme of the address is not http")]
    Scheme,
    /// `https` was asked for, and this build has no TLS: it was made without the feature `tls`.
    #[error("this build has no TLS; use an http address")]
    NoTls,
    /// TLS cannot be set up, for example because the platform shows no certificates.
    #[error("TLS cannot be set up")]
    Tls(#[source] tonic::transport::Error),
}

impl ConnectOptions {
    /// The end point at `url`.
    pub(crate) fn endpoint(&self, url: &str) -> Result<Endpoint, AddressError> {
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(AddressError::Malformed)?;
        let endpoint = match endpoint.uri().scheme_str() {
            Some("http") => endpoint,
            Some("https" | "grpcs") => secure(endpoint)?,
            _ => return Err(AddressError::Scheme),
        };
        Ok(endpoint
            .connect_timeout(self.connect_timeout)
            .timeout(self.call_timeout)
            .http2_keep_alive_interval(self.ping_interval)
            .keep_alive_timeout(self.ping_timeout)
            .keep_alive_while_idle(true)
            .tcp_keepalive(Some(self.ping_interval))
            .tcp_nodelay(true)
            .initial_connection_window_size(i32::MAX.unsigned_abs()))
    }
}

/// Trusts the platform's root certificates; no client certificate (transport §2).
#[cfg(feature = "tls")]
fn secure(endpoint: Endpoint) -> Result<Endpoint, AddressError> {
    let tls = tonic::transport::ClientTlsConfig::new().with_native_roots();
    endpoint.tls_config(tls).map_err(AddressError::Tls)
}

#[cfg(not(feature = "tls"))]
fn secure(_endpoint: Endpoint) -> Result<Endpoint, AddressError> {
    Err(AddressError::NoTls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_cannot_work_are_refused_at_once() {
        let options = ConnectOptions::default();
        assert!(options.endpoint("http://localhost:5556").is_ok());
        if cfg!(not(feature = "tls")) {
            assert!(matches!(options.endpoint("https://localhost:5556"), Err(AddressError::NoTls)));
        }
        assert!(matches!(options.endpoint("localhost:5556"), Err(AddressError::Scheme)));
        assert!(matches!(options.endpoint("http://a b"), Err(AddressError::Malformed(_))));
    }
}
