//! What a delivery node promises (transport §10), seen from outside.
mod crash;
mod identity;
mod malformed;
mod messages;
mod random;
mod served;
mod streams;
mod support;
mod vectors;
mod welcomes;
