//! The state machine, beyond what the vectors show.

use subrosa_identity::{AssociationError, AssociationState, ChainVerdicts, MemberIdentifier};

use crate::world::{World, installation, sign, wallet};

#[test]
fn an_update_applied_twice_is_refused() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let state = world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    for (update, want) in world.updates.iter().zip([AssociationError::MultipleCreate, AssociationError::Replay]) {
        assert_eq!(AssociationState::apply(Some(&state), update), Err(want));
    }
}

#[test]
fn a_refused_update_leaves_the_state_before_it() {
    let mut world = World::registered();
    let before = world.state.clone();
    let refused = world.run(|r| {
        r.add_association(wallet(2).identifier(), installation(1).id())
            .revoke(installation(1).id(), wallet(2).identifier())
    });
    assert_eq!(refused, Err(AssociationError::MissingExistingMember));
    assert_eq!(world.state, before);
}

#[test]
fn the_cascade_is_one_level_deep_and_takes_installations_only() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(wallet(2).identifier(), &owner)).unwrap();
    world
        .run(|r| {
            r.add_association(installation(2).id(), wallet(2).identifier())
                .add_association(wallet(3).identifier(), wallet(2).identifier())
        })
        .unwrap();
    world.run(|r| r.add_association(installation(3).id(), wallet(3).identifier())).unwrap();
    let state = world.run(|r| r.revoke(wallet(2).identifier(), owner)).unwrap();
    assert!(!state.has_installation(&installation(2).id()));
    assert!(state.has_installation(&installation(1).id()));
    assert!(state.has_installation(&installation(3).id()));
    assert!(state.has_member(&wallet(3).identifier().into()));
}

#[test]
fn an_installation_added_again_belongs_to_who_added_it_last() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(wallet(2).identifier(), &owner)).unwrap();
    world.run(|r| r.add_association(installation(1).id(), wallet(2).identifier())).unwrap();
    let state = world.run(|r| r.revoke(&owner, owner.clone())).unwrap();
    assert!(state.has_installation(&installation(1).id()));
    let state = world.run(|r| r.revoke(wallet(2).identifier(), owner)).unwrap();
    assert!(!state.has_installation(&installation(1).id()));
}

#[test]
fn listing_is_by_time_with_the_creator_last() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    world.run(|r| r.add_association(installation(3).id(), &owner)).unwrap();
    let state = world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    let order: Vec<_> = state.installations().collect();
    assert_eq!(order, [installation(1).id(), installation(3).id(), installation(2).id()]);
    assert_eq!(state.members().last().unwrap().identifier, owner.into());
}

#[test]
fn differences_name_who_came_and_went_but_not_who_was_added_again() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let before = world.state.clone().unwrap();
    world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    world.run(|r| r.revoke(installation(1).id(), owner.clone())).unwrap();
    let after = world.run(|r| r.add_association(installation(2).id(), &owner)).unwrap();
    let diff = AssociationState::diff(Some(&before), &after);
    assert_eq!(diff.new_members, [MemberIdentifier::from(installation(2).id())]);
    assert_eq!(diff.removed_members, [MemberIdentifier::from(installation(1).id())]);
    assert_eq!(AssociationState::diff(None, &before).new_members.len(), 2);
    assert_eq!(AssociationState::diff(Some(&after), &after), Default::default());
}

#[test]
fn an_upper_case_inbox_id_is_another_inbox() {
    let mut world = World::registered();
    let owner = world.owner.clone();
    let update = sign(world.request(|r| r.change_recovery(wallet(2).identifier(), owner)));
    let other = subrosa_identity::IdentityUpdate::new(
        update.inbox_id_text().to_uppercase(),
        update.client_timestamp_ns(),
        Vec::new(),
    );
    let verified = other.verify(&ChainVerdicts::none()).unwrap();
    let refused = AssociationState::apply(world.state.as_ref(), &verified);
    assert_eq!(refused, Err(AssociationError::WrongInboxId));
}
