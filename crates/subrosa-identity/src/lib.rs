//! XMTP identity: inbox ids, signatures, updates and the association state machine. Pure values, no I/O.
