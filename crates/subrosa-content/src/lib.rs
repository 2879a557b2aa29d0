//! XMTP content types and the application plaintext around them.
