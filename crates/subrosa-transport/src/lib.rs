//! How an XMTP client reaches the network: the Network trait and its gRPC edge.
