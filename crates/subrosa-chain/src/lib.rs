//! Contract-wallet signatures, checked on a chain over JSON-RPC (identity §12).
//!
//! An identity says that a contract wallet belongs to it by a signature only that contract can judge. The core lists
//! what must be asked as [`ChainCheck`]s; this crate asks, and answers each with a [`Verdict`] or with the reason why
//! there is none.
//!
//! - [`ChainVerifier`]: asks the endpoint of each chain; cheap to clone
//! - [`ChainVerifierBuilder`]: which endpoint serves which chain, by hand or from the environment
//! - [`ChainAnswer`], [`ChainError`]: what comes back; errors are sorted by whether asking again may help
//!
//! No endpoint is built in: whoever answers decides which contract wallets are believed, so that choice is the
//! operator's. A chain without endpoint has no answer, which is not "no".
//!
//! Feature `tls` (off by default) allows `https` endpoints.
//!
//! [`ChainCheck`]: subrosa_identity::ChainCheck
//! [`Verdict`]: subrosa_identity::Verdict
mod cache;
mod endpoint;
mod error;
mod question;
mod rpc;
mod verifier;

pub use error::{ChainError, EndpointError, VariableError};
pub use verifier::{ChainAnswer, ChainVerifier, ChainVerifierBuilder};
