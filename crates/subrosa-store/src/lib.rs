//! The encrypted SQLite database of an XMTP client.
