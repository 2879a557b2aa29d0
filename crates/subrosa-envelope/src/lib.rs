//! Typed XMTP envelopes: group messages, welcomes, key packages, identity updates, and their limits.
