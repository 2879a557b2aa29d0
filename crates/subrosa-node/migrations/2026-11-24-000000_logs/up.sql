-- Logs of the delivery node. AUTOINCREMENT: an id is never used twice, not even after pruning (transport §10, N1).

CREATE TABLE group_messages (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    group_id     BLOB    NOT NULL,
    created_ns   BIGINT  NOT NULL,
    content_type INTEGER NOT NULL,
    should_push  BOOLEAN NOT NULL,
    sender_hmac  BLOB    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE,
    data         BLOB    NOT NULL
);
CREATE INDEX group_messages_by_group ON group_messages (group_id, id);

CREATE TABLE welcomes (
    id           INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    installation BLOB    NOT NULL,
    created_ns   BIGINT  NOT NULL,
    is_pointer   BOOLEAN NOT NULL,
    algorithm    INTEGER NOT NULL,
    hpke_key     BLOB    NOT NULL,
    metadata     BLOB    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE,
    data         BLOB    NOT NULL
);
CREATE INDEX welcomes_by_installation ON welcomes (installation, id);

CREATE TABLE key_packages (
    installation BLOB   PRIMARY KEY NOT NULL,
    uploaded_ns  BIGINT NOT NULL,
    data         BLOB   NOT NULL
);

CREATE TABLE inbox_log (
    id        INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    inbox     BLOB    NOT NULL,
    server_ns BIGINT  NOT NULL,
    data      BLOB    NOT NULL
);
CREATE INDEX inbox_log_by_inbox ON inbox_log (inbox, id);

-- Associations of identifiers with inboxes (identity §8.3). Ids are ids of inbox_log.
CREATE TABLE addresses (
    associated_id BIGINT  NOT NULL,
    kind          INTEGER NOT NULL,
    identifier    TEXT    NOT NULL,
    inbox         BLOB    NOT NULL,
    revoked_id    BIGINT,
    PRIMARY KEY (identifier, kind, associated_id)
);

CREATE TABLE commit_log (
    id         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    group_id   BLOB NOT NULL,
    entry      BLOB NOT NULL,
    signature  BLOB NOT NULL,
    public_key BLOB NOT NULL
);
CREATE INDEX commit_log_by_group ON commit_log (group_id, id);
