//! An XMTP delivery node: ordered topic logs, identity log, key packages and subscriptions on embedded SQLite
//! (transport §4, §10).
//!
//! It knows no plaintext and no group secrets. What it acknowledges is durable; ids only grow and are never used
//! twice; nothing is stored that a client could not read; no signature is called valid that was not checked.
//!
//! - [`Node`]: opens the logs; it is a [`Network`](subrosa_transport::Network) for clients in the same process
//! - [`Node::serve`]: the same for clients elsewhere, over gRPC and gRPC-web
//! - [`NodeConfig`]: where the logs are, and by which clock
//! - [`ValidationService`], [`associations`]: what a node must know before it stores something, for nodes of others
mod chains;
mod check;
mod config;
mod cors;
mod directory;
mod feed;
#[allow(missing_docs, clippy::all, clippy::pedantic, clippy::exhaustive_enums, unreachable_pub, rustdoc::all)]
mod generated {
    pub mod identity {
        include!("generated/xmtp.identity.api.v1.rs");
    }
    pub mod mls {
        include!("generated/xmtp.mls.api.v1.rs");
    }
    pub mod validation {
        include!("generated/xmtp.mls_validation.v1.rs");
    }
}
mod hub;
mod identity;
mod mls;
mod network;
mod node;
mod serve;
mod status;
mod store;
mod validation;

pub use config::{Clock, NodeConfig, Retention};
pub use node::{Node, PruneError};
pub use serve::{ServeError, Served};
pub use store::OpenError;
pub use validation::{Associations, AssociationsError, ValidationService, associations};
