//! What a node must be told before it stores something: the validation service, as library and behind gRPC
//! (transport §8, §11).
//!
//! [`associations`] is the rule about identity logs that the node itself uses when it appends.
mod associations;
mod service;

pub(crate) use associations::follow;
pub use associations::{Associations, AssociationsError, associations};
pub use service::ValidationService;
