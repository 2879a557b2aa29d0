//! The tables, as diesel sees them. `migrations/` makes them.
#![allow(unreachable_pub, reason = "the macro makes everything public; the module is not")]

use diesel::{allow_tables_to_appear_in_same_query, joinable, table};

table! {
    senders (id) {
        id -> BigInt,
        inbox -> Binary,
        installation -> Binary,
    }
}

table! {
    conversations (id) {
        id -> BigInt,
        group_id -> Binary,
        version -> BigInt,
        kind -> Integer,
        dm_peer -> Nullable<Binary>,
        created_at -> BigInt,
        membership -> Integer,
        active -> Bool,
        creator -> Binary,
        added_by -> Binary,
        welcome -> Nullable<BigInt>,
        installations_checked -> BigInt,
        rotated_at -> BigInt,
        last_message -> Nullable<BigInt>,
        paused_for -> Nullable<Text>,
        maybe_forked -> Bool,
        held -> Nullable<Integer>,
        epoch -> BigInt,
        authenticator -> Binary,
        details -> Binary,
    }
}

table! {
    mls_rows (scope, label, key) {
        scope -> Binary,
        label -> Integer,
        key -> Binary,
        value -> Binary,
    }
}

table! {
    messages (row) {
        row -> BigInt,
        id -> Binary,
        conversation -> BigInt,
        sent_at -> BigInt,
        kind -> Integer,
        sender -> BigInt,
        delivery -> Integer,
        originator -> Nullable<BigInt>,
        sequence -> Nullable<BigInt>,
        expires_at -> Nullable<BigInt>,
        inserted_at -> BigInt,
        content -> Binary,
    }
}

table! {
    intents (id) {
        id -> BigInt,
        conversation -> BigInt,
        kind -> Integer,
        state -> Integer,
        attempts -> BigInt,
        error -> Nullable<Integer>,
        should_push -> Bool,
        message -> Nullable<Binary>,
        originator -> Nullable<BigInt>,
        sequence -> Nullable<BigInt>,
        data -> Binary,
        hash -> Nullable<Binary>,
        payload -> Nullable<Binary>,
        epoch -> Nullable<BigInt>,
        authenticator -> Nullable<Binary>,
        staged -> Nullable<Binary>,
        post_commit -> Nullable<Binary>,
    }
}

table! {
    intent_hashes (hash) {
        hash -> Binary,
        intent -> BigInt,
    }
}

table! {
    cursors (entity, kind, originator) {
        entity -> Binary,
        kind -> Integer,
        originator -> BigInt,
        sequence -> BigInt,
    }
}

table! {
    commit_log (row) {
        row -> BigInt,
        conversation -> BigInt,
        sequence -> BigInt,
        authenticator_before -> Binary,
        result -> Integer,
        epoch -> BigInt,
        authenticator -> Binary,
        sender -> Nullable<BigInt>,
        note -> Text,
    }
}

table! {
    consents (group_id) {
        group_id -> Binary,
        state -> Integer,
        decided_at -> BigInt,
    }
}

table! {
    pending_removals (conversation, inbox) {
        conversation -> BigInt,
        inbox -> Binary,
        message -> Binary,
    }
}

table! {
    tasks (sequence) {
        sequence -> BigInt,
        welcome -> Binary,
        attempts -> BigInt,
        next_at -> BigInt,
        expires_at -> BigInt,
    }
}

table! {
    identity (id) {
        id -> Integer,
        inbox -> Binary,
        seed -> Binary,
        registered -> Bool,
        hmac_root -> Binary,
        next_rotation -> BigInt,
    }
}

table! {
    pending_registration (id) {
        id -> Integer,
        identity_update -> Binary,
        key_package -> Binary,
        stage -> Integer,
    }
}

table! {
    key_packages (hash_ref) {
        hash_ref -> Binary,
        created_at -> BigInt,
        delete_at -> Nullable<BigInt>,
    }
}

table! {
    identity_updates (inbox, sequence) {
        inbox -> Binary,
        sequence -> BigInt,
        server_time -> BigInt,
        payload -> Binary,
    }
}

joinable!(messages -> conversations (conversation));
joinable!(messages -> senders (sender));
joinable!(intents -> conversations (conversation));
joinable!(intent_hashes -> intents (intent));
joinable!(commit_log -> conversations (conversation));
joinable!(commit_log -> senders (sender));
joinable!(pending_removals -> conversations (conversation));

allow_tables_to_appear_in_same_query!(
    senders,
    conversations,
    messages,
    intents,
    intent_hashes,
    commit_log,
    consents,
    pending_removals,
);
