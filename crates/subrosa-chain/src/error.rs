//! Why a check has no answer, and why an endpoint is not usable.

use std::{fmt, time::Duration};

use subrosa_identity::AccountIdError;

/// Why a chain did not say yes or no about a signature (identity §12.4).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The account is none that an Ethereum chain could know. Asking again does not help.
    #[error("the account cannot be one of a contract wallet")]
    Account(#[from] AccountIdError),
    /// The account is the zero address, which nobody holds (identity §12.3).
    #[error("the zero address is no wallet")]
    ZeroAddress,
    /// No endpoint is configured for the chain.
    #[error("no endpoint for chain {chain_id}")]
    NoVerifier {
        /// The chain of the account.
        chain_id: u64,
    },
    /// So many checks wait for this endpoint that this one did not get its turn.
    #[error("too many checks are waiting for this chain")]
    Busy,
    /// The endpoint did not answer in time.
    #[error("the chain endpoint did not answer within {limit:?}")]
    Timeout {
        /// How long a request may take.
        limit: Duration,
    },
    /// The endpoint could not be reached, or hung up.
    #[error("the chain endpoint cannot be reached")]
    Unreachable,
    /// The endpoint answered with an HTTP status other than success.
    #[error("the chain endpoint answered with HTTP status {status}")]
    Http {
        /// The status.
        status: u16,
    },
    /// The endpoint's answer is longer than any true one.
    #[error("the answer of the chain endpoint is longer than {limit} bytes")]
    TooLarge {
        /// The longest answer that is read, in bytes.
        limit: usize,
    },
    /// What the endpoint answered is not an answer to what was asked.
    #[error("the chain endpoint gave no answer that makes sense")]
    Malformed,
    /// The endpoint serves another chain than the one it is configured for.
    #[error("the endpoint for chain {want} serves chain {got}")]
    WrongChain {
        /// The chain it is configured for.
        want: u64,
        /// The chain it says it serves.
        got: u64,
    },
    /// The endpoint refused the request.
    #[error("the chain endpoint refused with code {code}")]
    Rpc {
        /// The error code of JSON-RPC.
        code: i64,
    },
    /// The contract call was reverted: the wallet or its factory failed, or the signature is not one.
    #[error("the contract call was reverted")]
    Reverted {
        /// What came with it, the first [`ChainError::MAX_REVERT_DATA`] bytes.
        data: Vec<u8>,
    },
}

impl ChainError {
    /// How much of a revert's data is kept, in bytes.
    pub const MAX_REVERT_DATA: usize = 1024;

    /// Whether the same question may get an answer later. An answer that cannot is [`Verdict::Invalid`]; anything
    /// else is [`Verdict::Unknown`].
    ///
    /// [`Verdict::Invalid`]: subrosa_identity::Verdict::Invalid
    /// [`Verdict::Unknown`]: subrosa_identity::Verdict::Unknown
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Account(_) | Self::ZeroAddress => false,
            Self::NoVerifier { .. }
            | Self::Busy
            | Self::Timeout { .. }
            | Self::Unreachable
            | Self::Http { .. }
            | Self::TooLarge { .. }
            | Self::Malformed
            | Self::WrongChain { .. }
            | Self::Rpc { .. }
            | Self::Reverted { .. } => true,
        }
    }
}

/// Why an address is not usable as the endpoint of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is not an absolute URL.
    #[error("the endpoint is not an absolute url")]
    NotAUrl,
    /// Its scheme is neither `http` nor `https`.
    #[error("the endpoint's scheme is neither http nor https")]
    Scheme,
    /// It is `https`, and this build has no TLS: feature `tls` brings it.
    #[error("the endpoint is https, but this build has no tls")]
    NoTls,
    /// It is `https`, and the platform has no certificates to trust.
    #[error("the platform has no certificates to trust an https endpoint by")]
    Certificates,
    /// It has a user name in it; pass what the provider calls a key in the path instead.
    #[error("the endpoint has a user name in it")]
    UserInfo,
}

/// A variable of the environment that does not name a usable endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VariableError {
    /// The variable.
    pub variable: Box<str>,
    /// What is wrong with its value; `None` if its name does not end with the number of a chain.
    pub reason: Option<EndpointError>,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Some(_) => write!(f, "{} names no usable endpoint", self.variable),
            None => write!(f, "{} does not end with the number of a chain", self.variable),
        }
    }
}

impl std::error::Error for VariableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.reason.as_ref().map(|reason| reason as _)
    }
}
