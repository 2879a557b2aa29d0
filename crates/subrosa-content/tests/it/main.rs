//! Behaviour of the content codecs, through the public interface.
mod contents;
mod vectors;
