//! Behaviour of the envelope codecs, through the public interface.
mod public_messages;
mod vectors;
