//! Behaviour through the public API, in memory; vectors of the official client.
mod groups;
mod refusals;
mod vectors_key_packages;
mod vectors_replay;
mod welcomes;
mod world;
