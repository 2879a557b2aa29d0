//! The XMTP machines: one step in, changes and envelopes out. No I/O, no clock.
