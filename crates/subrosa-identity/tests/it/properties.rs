//! Claims about all inputs.

use std::sync::LazyLock;

use proptest::{collection::vec, prelude::*, sample::Index};
use subrosa_identity::{
    AccountId, AssociationState, ChainVerdicts, IdentityUpdate, InboxLog, PasskeySignature, UnverifiedSignature,
    VerifiedUpdate, inbox_of_credential, recover_ethereum_address,
};
use subrosa_types::SequenceId;
use subrosa_vectors::{Family, bytes, list};

use crate::world::{World, installation, wallet};

/// Updates of every kind, to be damaged.
static UPDATES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut updates = Vec::new();
    Family::load("identity/association_logs")
        .each(|_, file| {
            let entries = list(&file["cases"]).iter().flat_map(|case| list(&case["log"]));
            updates.extend(entries.filter(|e| !e["update"].is_null()).map(|e| bytes(&e["update"])));
            1
        })
        .finish();
    // Another folder may have no logs.
    updates.push(Vec::new());
    updates
});

/// Decodes and, if that works, does everything that can be done with an update.
fn exercise(bytes: &[u8]) {
    let Ok(update) = IdentityUpdate::from_bytes(bytes) else { return };
    assert_eq!(IdentityUpdate::from_bytes(&update.to_bytes()).as_ref(), Ok(&update));
    let _ = update.chain_checks();
    if let Ok(verified) = update.verify(&ChainVerdicts::none()) {
        let _ = AssociationState::apply(None, &verified);
    }
}

/// What to do to an inbox next: an action and two who take part.
fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8)>> {
    vec((0_u8..4, 1_u8..5, 1_u8..5), 0..10)
}

/// Runs steps by their numbers; those that the state does not allow are left out.
fn run(steps: &[(u8, u8, u8)]) -> World {
    let mut world = World::registered();
    for (action, a, b) in steps {
        let recovery = world.state.as_ref().unwrap().recovery_identifier().clone();
        let _ = world.run(|r| match action {
            0 => r.add_association(installation(*a).id(), wallet(*b).identifier()),
            1 if a != b => r.add_association(wallet(*a).identifier(), wallet(*b).identifier()),
            2 => r.revoke(installation(*a).id(), recovery),
            3 => r.change_recovery(wallet(*a).identifier(), recovery),
            _ => r.revoke(wallet(*a).identifier(), recovery),
        });
    }
    world
}

fn replay(updates: &[VerifiedUpdate]) -> AssociationState {
    AssociationState::replay(None, updates).unwrap()
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        exercise(&bytes);
        let _ = inbox_of_credential(&bytes);
    }

    #[test]
    fn damaged_updates_decode_or_are_refused(
        which: Index,
        cut: Index,
        flips in vec((any::<Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = which.get(&UPDATES).clone();
        if !bytes.is_empty() {
            for (place, value) in flips {
                let place = place.index(bytes.len());
                bytes[place] ^= value;
            }
        }
        exercise(&bytes);
        bytes.truncate(cut.index(bytes.len() + 1));
        exercise(&bytes);
    }

    #[test]
    fn any_bytes_as_signature_are_judged(
        hash: [u8; 32],
        signature in vec(any::<u8>(), 60..70),
        key in vec(any::<u8>(), 0..70),
        json in vec(any::<u8>(), 0..70),
    ) {
        let _ = recover_ethereum_address(&hash, &signature);
        let passkey = PasskeySignature {
            public_key: key,
            signature,
            authenticator_data: Vec::new(),
            client_data_json: json,
        };
        let verified = UnverifiedSignature::Passkey(Box::new(passkey)).verify("text", &ChainVerdicts::none());
        prop_assert!(verified.is_err());
    }

    #[test]
    fn any_text_is_an_account_id_or_not(text in ".{0,60}") {
        if let Ok(account) = AccountId::parse(&text) {
            prop_assert_eq!(account.as_str(), text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn replay_is_deterministic_and_the_log_agrees(steps in steps()) {
        let world = run(&steps);
        prop_assert_eq!(Some(replay(&world.updates)), world.state.clone());
        prop_assert_eq!(replay(&world.updates).to_proto(), replay(&world.updates).to_proto());
        let mut log = InboxLog::new(world.inbox);
        for (sequence, update) in (1..).zip(&world.updates) {
            log.push(SequenceId(sequence), update).unwrap();
        }
        for end in 1..=world.updates.len() {
            let state = log.state_at(SequenceId(end as u64)).unwrap();
            prop_assert_eq!(state, replay(&world.updates[..end]));
        }
    }

    #[test]
    fn no_update_can_be_applied_twice(steps in steps()) {
        let world = run(&steps);
        let state = replay(&world.updates);
        for update in &world.updates {
            prop_assert!(AssociationState::apply(Some(&state), update).is_err());
        }
    }
}
