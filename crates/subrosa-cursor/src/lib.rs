//! Positions in XMTP logs and the rules by which they move.
