//! XMTP for applications: clients, groups, direct messages, streams.
