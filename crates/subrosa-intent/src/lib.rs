//! The life of an XMTP intent: kinds, states, legal transitions, retries.
