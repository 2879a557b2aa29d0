//! How an XMTP client reaches the network: the [`Network`] trait and its gRPC edge (transport §4).
//!
//! A call takes and returns typed values. What a node answers is checked before anybody sees it: a numbering that
//! cannot be true refuses the whole answer, a single item that does not decode is handed on as such, with its
//! position (sync §3.8, envelopes §8).
//!
//! - [`Network`]: one method for each call of the network
//! - [`NetworkError`]: sorted by who has to act
//! - [`GrpcNetwork`]: the network behind a gRPC address, or behind any service that speaks gRPC
//! - [`Layered`]: a network behind something of yours, which delays, counts or refuses calls
//!
//! Feature `tls` (off by default) allows `https` addresses.
mod answer;
mod connection;
mod error;
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::exhaustive_enums, unreachable_pub, rustdoc::all)]
mod generated {
    pub mod identity {
        include!("generated/xmtp.identity.api.v1.rs");
    }
    pub mod mls {
        include!("generated/xmtp.mls.api.v1.rs");
    }
}
mod grpc;
mod layer;
mod network;
mod retry;
mod subscribe;
#[cfg(test)]
mod vectors;

pub use connection::{AddressError, ConnectOptions};
pub use error::{BadAnswer, NetworkError, NodeMessage, Outage, Refusal};
pub use grpc::{GrpcNetwork, GrpcService};
pub use layer::{Call, Layer, Layered};
pub use network::{CommitLogPage, ContractVerdict, EnvelopeStream, LogEntry, Network, Newest, Page, Received};
pub use retry::RetryPolicy;
