//! Claims about every history of an inbox: whoever acts, allowed or not.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};
use subrosa_identity::{
    AssociationError, AssociationState, Identifier, IdentityUpdate, InboxLog, MemberIdentifier, Verdict,
    VerifiedUpdate, inbox_id,
};
use subrosa_types::{InboxId, SequenceId};

use crate::{
    signers::{Act, LegacyKey, PasskeyKey, Sign, by_contract, by_installation, by_wallet, update},
    world::{SECOND, installation, verdicts_for, wallet},
};

/// Somebody and the way in which they sign.
#[derive(Clone, Copy, Debug)]
enum Party {
    Wallet(u8),
    /// The same address as the wallet, as a contract on this chain.
    Contract(u8, u64),
    Passkey(u8),
    Installation(u8),
    /// The same address as the wallet, by an old key.
    Legacy(u8),
}

use Party::{Contract, Installation, Legacy, Passkey, Wallet};

/// Wallet 1 creates the inbox with installation 1.
const PARTIES: [Party; 11] = [
    Wallet(1),
    Wallet(2),
    Wallet(3),
    Contract(1, 1),
    Contract(3, 1),
    Contract(3, 2),
    Passkey(1),
    Installation(1),
    Installation(2),
    Installation(3),
    Legacy(1),
];

impl Party {
    fn member(self) -> MemberIdentifier {
        match self {
            Wallet(seed) | Contract(seed, _) | Legacy(seed) => wallet(seed).identifier().into(),
            Passkey(seed) => PasskeyKey::new(seed).identifier().into(),
            Installation(seed) => installation(seed).id().into(),
        }
    }

    /// `time` makes the signatures of contracts differ from one update to the next, as those of others do.
    fn sign(self, time: u64) -> Sign {
        match self {
            Wallet(seed) => by_wallet(&wallet(seed)),
            Contract(seed, chain) => by_contract(chain, &wallet(seed).address(), &time.to_be_bytes()),
            Passkey(seed) => PasskeyKey::new(seed).sign(),
            Installation(seed) => by_installation(&installation(seed)),
            Legacy(seed) => LegacyKey::new(&wallet(seed), 9).sign(),
        }
    }

    /// How this identifier has to sign in this state.
    fn of(identifier: &Identifier, state: &AssociationState) -> Self {
        let member = MemberIdentifier::from(identifier);
        let chain = state.member(&member).and_then(|member| member.added_on_chain_id);
        let fits = |party: &Self| match (party, chain) {
            (Contract(_, own), Some(chain)) => *own == chain,
            (Wallet(_) | Passkey(_), None) => true,
            _ => false,
        };
        *PARTIES.iter().find(|party| party.member() == member && fits(party)).expect("everybody is in the list")
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Create(Party),
    Add {
        who: Party,
        by: Party,
        signed_by: Party,
    },
    Revoke {
        who: Party,
        by: Option<Party>,
    },
    /// By the present recovery identifier if nobody is named.
    ChangeRecovery {
        to: Party,
        by: Option<Party>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let party = || select(&PARTIES[..]);
    let rightful = || prop_oneof![3 => Just(None), 1 => party().prop_map(Some)];
    prop_oneof![
        1 => party().prop_map(Step::Create),
        8 => (party(), party()).prop_map(|(who, by)| Step::Add { who, by, signed_by: who }),
        4 => party().prop_map(|who| Step::Add { who, by: Wallet(1), signed_by: who }),
        1 => (party(), party(), party()).prop_map(|(who, by, signed_by)| Step::Add { who, by, signed_by }),
        1 => (2..4_u8).prop_map(|new| Step::Add {
            who: Installation(new),
            by: Installation(1),
            signed_by: Installation(new),
        }),
        4 => (party(), rightful()).prop_map(|(who, by)| Step::Revoke { who, by }),
        3 => (party(), rightful()).prop_map(|(to, by)| Step::ChangeRecovery { to, by }),
    ]
}

/// Updates of up to three actions; some have none.
fn steps() -> impl Strategy<Value = Vec<Vec<Step>>> {
    vec(prop_oneof![9 => vec(step(), 1..3), 1 => Just(Vec::new())], 1..10)
}

fn owner() -> Identifier {
    wallet(1).identifier()
}

fn inbox() -> InboxId {
    inbox_id(&owner(), 0).unwrap()
}

fn verified(time: u64, acts: &[Act]) -> VerifiedUpdate {
    let update = update(&inbox().to_hex(), time * SECOND.cast_unsigned(), acts);
    // What travels is bytes.
    let update = IdentityUpdate::from_bytes(&update.to_bytes()).unwrap();
    update.verify(&verdicts_for(&update, Verdict::Valid)).unwrap()
}

impl Step {
    fn act(&self, state: &AssociationState, time: u64) -> Act {
        let rightful = |by: &Option<Party>| by.unwrap_or_else(|| Party::of(state.recovery_identifier(), state));
        match self {
            Self::Create(who) => Act::Create(who.member().as_identifier().unwrap_or_else(owner), 0, who.sign(time)),
            Self::Add { who, by, signed_by } => Act::Add(who.member(), by.sign(time), signed_by.sign(time)),
            Self::Revoke { who, by } => Act::Revoke(who.member(), rightful(by).sign(time)),
            Self::ChangeRecovery { to, by } => {
                Act::ChangeRecovery(to.member().as_identifier().unwrap_or_else(owner), rightful(by).sign(time))
            }
        }
    }
}

/// An update that was accepted, and the states around it.
struct Accepted {
    before: AssociationState,
    update: VerifiedUpdate,
    after: AssociationState,
    hands_over: bool,
}

struct History {
    first: VerifiedUpdate,
    accepted: Vec<Accepted>,
    refused: Vec<(AssociationState, VerifiedUpdate, AssociationError)>,
    end: AssociationState,
    time: u64,
}

/// Each update in a second of its own.
fn run(steps: &[Vec<Step>]) -> History {
    let registration = [
        Act::Create(owner(), 0, by_wallet(&wallet(1))),
        Act::Add(installation(1).id().into(), by_wallet(&wallet(1)), by_installation(&installation(1))),
    ];
    let first = verified(1, &registration);
    let mut end = AssociationState::apply(None, &first).unwrap();
    let (mut accepted, mut refused, mut time) = (Vec::new(), Vec::new(), 1);
    for step in steps {
        time += 1;
        let acts: Vec<Act> = step.iter().map(|step| step.act(&end, time)).collect();
        let update = verified(time, &acts);
        let hands_over = step.iter().any(|step| matches!(step, Step::ChangeRecovery { .. }));
        match AssociationState::apply(Some(&end), &update) {
            Ok(after) => {
                accepted.push(Accepted { before: end, update, after: after.clone(), hands_over });
                end = after;
            }
            Err(error) => refused.push((end.clone(), update, error)),
        }
    }
    History { first, accepted, refused, end, time }
}

impl History {
    fn updates(&self) -> Vec<VerifiedUpdate> {
        let rest = self.accepted.iter().map(|accepted| accepted.update.clone());
        std::iter::once(self.first.clone()).chain(rest).collect()
    }
}

fn keys(state: &AssociationState) -> BTreeSet<MemberIdentifier> {
    state.members().into_iter().map(|member| member.identifier.clone()).collect()
}

fn log_of(updates: &[VerifiedUpdate]) -> InboxLog {
    let mut log = InboxLog::new(inbox());
    for (sequence, update) in (1..).zip(updates) {
        // A bad one is remembered.
        let _ = log.push(SequenceId(sequence), update);
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_same_updates_in_the_same_order_give_the_same_state(steps in steps()) {
        let history = run(&steps);
        let updates = history.updates();
        prop_assert_eq!(AssociationState::replay(None, &updates), Ok(history.end.clone()));
        prop_assert_eq!(run(&steps).end.to_proto(), history.end.to_proto());
        // The creation comes first, or there is nothing.
        if let [_, others @ ..] = &updates[..] && !others.is_empty() {
            prop_assert_eq!(AssociationState::replay(None, others), Err(AssociationError::NotCreated));
        }
    }

    #[test]
    fn a_state_does_not_depend_on_what_follows(steps in steps()) {
        let history = run(&steps);
        let mut updates = history.updates();
        // Whatever was refused, at the end: the log breaks there.
        updates.extend(history.refused.iter().map(|(_, update, _)| update.clone()));
        let log = log_of(&updates);
        let mut want = AssociationState::apply(None, &history.first).unwrap();
        prop_assert_eq!(log.state_at(SequenceId(1)), Ok(want.clone()));
        for (sequence, accepted) in (2..).zip(&history.accepted) {
            prop_assert_eq!(&accepted.before, &want);
            let state = log.state_at(SequenceId(sequence)).unwrap();
            prop_assert_eq!(&state, &accepted.after);
            let prefix = &updates[..usize::try_from(sequence).unwrap()];
            prop_assert_eq!(AssociationState::replay(None, prefix), Ok(state.clone()));
            want = state;
        }
    }

    #[test]
    fn an_update_counts_once_unless_it_does_nothing(steps in steps()) {
        let history = run(&steps);
        for Accepted { before, update, after, .. } in &history.accepted {
            prop_assert!(after.has_applied(update) && history.end.has_applied(update));
            prop_assert_eq!(before.has_applied(update), update.signatures().next().is_none());
            for state in [after, &history.end] {
                let again = AssociationState::apply(Some(state), update);
                if update.signatures().next().is_none() {
                    prop_assert_eq!(again.as_ref(), Ok(state));
                } else {
                    prop_assert!(matches!(again, Err(AssociationError::Replay | AssociationError::MultipleCreate)));
                }
            }
        }
        prop_assert_eq!(
            AssociationState::apply(Some(&history.end), &history.first),
            Err(AssociationError::MultipleCreate)
        );
    }

    #[test]
    fn a_refused_update_is_refused_alike_and_leaves_no_trace(steps in steps()) {
        for (before, update, error) in run(&steps).refused {
            let kept = before.to_proto();
            prop_assert_eq!(AssociationState::apply(Some(&before), &update), Err(error));
            prop_assert_eq!(before.to_proto(), kept);
        }
    }

    #[test]
    fn nothing_but_its_own_hand_takes_the_powers_of_the_recovery_identifier(steps in steps()) {
        let history = run(&steps);
        for Accepted { before, after, hands_over, .. } in &history.accepted {
            prop_assert!(*hands_over || before.recovery_identifier() == after.recovery_identifier());
        }
        let end = &history.end;
        let recovery = Party::of(end.recovery_identifier(), end);
        let time = history.time + 1;
        for member in keys(end) {
            let revoke = verified(time, &[Act::Revoke(member.clone(), recovery.sign(time))]);
            let after = AssociationState::apply(Some(end), &revoke).unwrap();
            prop_assert!(!after.has_member(&member));
            prop_assert_eq!(after.recovery_identifier(), end.recovery_identifier());
        }
        let hand_over = verified(time, &[Act::ChangeRecovery(wallet(9).identifier(), recovery.sign(time))]);
        let after = AssociationState::apply(Some(end), &hand_over).unwrap();
        prop_assert_eq!(after.recovery_identifier(), &wallet(9).identifier());
        prop_assert_eq!(after.members(), end.members());
    }

    #[test]
    fn a_difference_leads_from_one_state_to_the_other(steps in steps()) {
        let history = run(&steps);
        let states: Vec<_> = history.accepted.iter().map(|accepted| &accepted.before).chain([&history.end]).collect();
        for (index, old) in states.iter().enumerate() {
            for new in &states[index..] {
                let diff = AssociationState::diff(Some(old), new);
                let (came, gone) = (BTreeSet::from_iter(diff.new_members), BTreeSet::from_iter(diff.removed_members));
                prop_assert!(came.is_disjoint(&keys(old)) && gone.is_subset(&keys(old)));
                prop_assert_eq!(&(&keys(old) - &gone) | &came, keys(new));
            }
        }
        let from_nothing = AssociationState::diff(None, &history.end);
        prop_assert_eq!(BTreeSet::from_iter(from_nothing.new_members), keys(&history.end));
        prop_assert!(from_nothing.removed_members.is_empty());
    }

    #[test]
    fn every_state_keeps_the_rules_about_members(steps in steps()) {
        for Accepted { before, update, after, .. } in run(&steps).accepted {
            let seen: BTreeSet<&[u8]> = after.seen_signatures().collect();
            prop_assert!(before.seen_signatures().chain(update.signatures().map(|s| s.seen_value())).all(|s| seen.contains(s)));
            prop_assert_eq!(after.inbox_id(), inbox());
            for member in after.members() {
                let is_installation = member.identifier.as_installation().is_some();
                let by_installation = member.added_by.as_ref().is_some_and(|by| by.as_installation().is_some());
                prop_assert!(!(is_installation && by_installation));
                prop_assert_ne!(member.added_by.as_ref(), Some(&member.identifier));
                prop_assert_eq!(member.added_by.is_none(), member.client_timestamp_ns.is_none());
                let is_address = matches!(member.identifier, MemberIdentifier::Ethereum(_));
                prop_assert!(is_address || member.added_on_chain_id.is_none());
            }
            prop_assert_eq!(AssociationState::from_trusted_proto(after.to_proto()), Ok(after.clone()));
        }
    }

    /// Two updates about two members may change places, two about the same one may not.
    #[test]
    fn order_counts_for_the_same_member_only(one in select(&PARTIES[1..10]), two in select(&PARTIES[1..10])) {
        prop_assume!(one.member() != owner().into() && two.member() != owner().into());
        let start = run(&[]).end;
        let add = |who: Party, time| verified(time, &[Act::Add(who.member(), by_wallet(&wallet(1)), who.sign(time))]);
        let revoke = verified(4, &[Act::Revoke(two.member(), by_wallet(&wallet(1)))]);
        let both_ways = |a: &VerifiedUpdate, b: &VerifiedUpdate| {
            [[a, b], [b, a]].map(|order| AssociationState::replay(Some(&start), order).unwrap())
        };
        let [added_last, added_first] = both_ways(&revoke, &add(one, 2));
        let same = one.member() == two.member();
        prop_assert_eq!(added_last == added_first, !same);
        prop_assert_eq!(added_last.has_member(&one.member()), true);
        prop_assert_eq!(added_first.has_member(&one.member()), !same);

        let [ab, ba] = both_ways(&add(one, 2), &add(two, 3));
        prop_assert_eq!(ab == ba, !same);
    }
}

/// The claims above are about something: histories hold every kind of refusal that their steps can cause.
#[test]
fn histories_are_varied() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};

    let mut runner = TestRunner::deterministic();
    let (mut accepted, mut refusals) = (0, BTreeSet::new());
    for _ in 0..64 {
        let history = run(&steps().new_tree(&mut runner).unwrap().current());
        accepted += history.accepted.len();
        refusals.extend(history.refused.iter().map(|(_, _, error)| error.label()));
    }
    assert!(accepted > 64, "{accepted}");
    for kind in [
        "MultipleCreate",
        "MissingExistingMember",
        "MemberNotAllowed",
        "LegacySignatureReuse",
        "NewMemberIdSignatureMismatch",
        "Generic",
        "SignatureNotAllowed",
        "Replay",
        "ChainIdMismatch",
    ] {
        assert!(refusals.contains(&*format!("AssociationError::{kind}")), "{kind}: {refusals:?}");
    }
}
