-- Format 1. Times are nanoseconds since 1970; ids are raw bytes; numbers of states and kinds are those of the
-- protocol. A later format is a later migration; this file does not change once it is released.
PRAGMA application_id = 0x53755273;
PRAGMA user_version = 1;

-- Inboxes with one of their installations: authors of messages and commits.
CREATE TABLE senders (
    id INTEGER PRIMARY KEY NOT NULL,
    inbox BLOB NOT NULL,
    installation BLOB NOT NULL,
    UNIQUE (inbox, installation)
);

CREATE TABLE conversations (
    id INTEGER PRIMARY KEY NOT NULL,
    group_id BLOB NOT NULL UNIQUE,
    version BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    dm_peer BLOB,
    created_at BIGINT NOT NULL,
    membership INTEGER NOT NULL,
    active BOOLEAN NOT NULL,
    creator BLOB NOT NULL,
    added_by BLOB NOT NULL,
    welcome BIGINT,
    installations_checked BIGINT NOT NULL,
    rotated_at BIGINT NOT NULL,
    last_message BIGINT,
    paused_for TEXT,
    maybe_forked BOOLEAN NOT NULL,
    held INTEGER,
    epoch BIGINT NOT NULL,
    authenticator BLOB NOT NULL,
    -- Members, attributes, admins and policies: one value with a format number of its own.
    details BLOB NOT NULL
);
CREATE INDEX conversations_by_peer ON conversations (dm_peer) WHERE dm_peer IS NOT NULL;

-- MLS state. The scope is a group id, or empty for what belongs to the installation.
CREATE TABLE mls_rows (
    scope BLOB NOT NULL,
    label INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (scope, label, key)
) WITHOUT ROWID;

CREATE TABLE messages (
    -- The order of storing; never used twice, also after deletion, because readers remember how far they came.
    row INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    id BLOB NOT NULL UNIQUE,
    conversation BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    sent_at BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    sender BIGINT NOT NULL REFERENCES senders (id),
    delivery INTEGER NOT NULL,
    originator BIGINT,
    sequence BIGINT,
    expires_at BIGINT,
    inserted_at BIGINT NOT NULL,
    content BLOB NOT NULL
);
CREATE INDEX messages_by_time ON messages (conversation, sent_at);
CREATE INDEX messages_by_position ON messages (conversation, originator, sequence) WHERE sequence IS NOT NULL;
CREATE INDEX messages_by_expiry ON messages (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE intents (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    conversation BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    kind INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempts BIGINT NOT NULL,
    error INTEGER,
    should_push BOOLEAN NOT NULL,
    message BLOB,
    originator BIGINT,
    sequence BIGINT,
    data BLOB NOT NULL,
    -- The payload; all of it or nothing is null, but for the last two.
    hash BLOB,
    payload BLOB,
    epoch BIGINT,
    authenticator BLOB,
    staged BLOB,
    post_commit BLOB
);
-- States 4 and 5 are terminal.
CREATE INDEX intents_outstanding ON intents (conversation, id) WHERE state < 4;

-- Every hash an intent ever had, so that a late copy of its payload is recognised as ours.
CREATE TABLE intent_hashes (
    hash BLOB PRIMARY KEY NOT NULL,
    intent BIGINT NOT NULL REFERENCES intents (id) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX intent_hashes_by_intent ON intent_hashes (intent);

CREATE TABLE cursors (
    entity BLOB NOT NULL,
    kind INTEGER NOT NULL,
    originator BIGINT NOT NULL,
    sequence BIGINT NOT NULL CHECK (sequence >= 0),
    PRIMARY KEY (entity, kind, originator)
) WITHOUT ROWID;

CREATE TABLE commit_log (
    row INTEGER PRIMARY KEY NOT NULL,
    conversation BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    authenticator_before BLOB NOT NULL,
    result INTEGER NOT NULL,
    epoch BIGINT NOT NULL,
    authenticator BLOB NOT NULL,
    sender BIGINT REFERENCES senders (id),
    note TEXT NOT NULL
);
CREATE INDEX commit_log_by_conversation ON commit_log (conversation);

-- By group id: a decision may come before the conversation.
CREATE TABLE consents (
    group_id BLOB PRIMARY KEY NOT NULL,
    state INTEGER NOT NULL,
    decided_at BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE pending_removals (
    conversation BIGINT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    inbox BLOB NOT NULL,
    message BLOB NOT NULL,
    PRIMARY KEY (conversation, inbox)
) WITHOUT ROWID;

-- Welcomes that could not be finished yet.
CREATE TABLE tasks (
    sequence BIGINT PRIMARY KEY NOT NULL,
    welcome BLOB NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tasks_by_time ON tasks (next_at);

CREATE TABLE identity (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    inbox BLOB NOT NULL,
    seed BLOB NOT NULL,
    registered BOOLEAN NOT NULL,
    hmac_root BLOB NOT NULL,
    next_rotation BIGINT NOT NULL
);

CREATE TABLE pending_registration (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    identity_update BLOB NOT NULL,
    key_package BLOB NOT NULL,
    stage INTEGER NOT NULL
);

CREATE TABLE key_packages (
    hash_ref BLOB PRIMARY KEY NOT NULL,
    created_at BIGINT NOT NULL,
    delete_at BIGINT
) WITHOUT ROWID;

CREATE TABLE identity_updates (
    inbox BLOB NOT NULL,
    sequence BIGINT NOT NULL,
    server_time BIGINT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (inbox, sequence)
) WITHOUT ROWID;
