//! XMTP group state over MLS: creation, commits and their validation, key packages, welcomes, messages.
