//! An XMTP delivery node: ordered topic logs on embedded SQLite, as a library and behind gRPC.
