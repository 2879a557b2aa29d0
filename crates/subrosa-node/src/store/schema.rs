//! Tables of the node; the migrations are the truth.

diesel::table! {
    group_messages (id) {
        id -> BigInt,
        group_id -> Binary,
        created_ns -> BigInt,
        content_type -> Integer,
        should_push -> Bool,
        sender_hmac -> Binary,
        digest -> Binary,
        data -> Binary,
    }
}

diesel::table! {
    welcomes (id) {
        id -> BigInt,
        installation -> Binary,
        created_ns -> BigInt,
        is_pointer -> Bool,
        algorithm -> Integer,
        hpke_key -> Binary,
        metadata -> Binary,
        digest -> Binary,
        data -> Binary,
    }
}

diesel::table! {
    key_packages (installation) {
        installation -> Binary,
        uploaded_ns -> BigInt,
        data -> Binary,
    }
}

diesel::table! {
    inbox_log (id) {
        id -> BigInt,
        inbox -> Binary,
        server_ns -> BigInt,
        data -> Binary,
    }
}

diesel::table! {
    addresses (identifier, kind, associated_id) {
        associated_id -> BigInt,
        kind -> Integer,
        identifier -> Text,
        inbox -> Binary,
        revoked_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    commit_log (id) {
        id -> BigInt,
        group_id -> Binary,
        entry -> Binary,
        signature -> Binary,
        public_key -> Binary,
    }
}
