//! What the store promises, through its public API.
mod apply;
mod conversations;
mod durability;
mod identity;
mod intents;
mod messages;
mod open;
mod support;
