//! What every client sees of a conversation, and whether all see the same.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What one database says about one conversation.
#[derive(Serialize)]
pub(super) struct View {
    pub(super) client: String,
    pub(super) inbox: String,
    pub(super) installation: String,
    /// Whether it should be a member at the end.
    pub(super) member: bool,
    #[serde(flatten)]
    pub(super) seen: Seen,
    /// Whether this is what it should be.
    pub(super) right: bool,
    /// Ids of the messages that were sent while it was a member.
    #[serde(skip)]
    pub(super) expected: Vec<String>,
}

/// As the driver tells it.
#[derive(Clone, Deserialize, Serialize)]
pub(super) struct Seen {
    pub(super) active: bool,
    pub(super) epoch: u64,
    pub(super) authenticator: String,
    #[serde(rename(serialize = "roster"), alias = "members")]
    pub(super) members: BTreeSet<String>,
    pub(super) name: String,
    pub(super) messages: Vec<Text>,
}

/// A text message.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Text {
    pub(super) id: String,
    pub(super) sender: String,
    pub(super) text: String,
}

/// One conversation as everybody sees it.
#[derive(Serialize)]
pub(super) struct Agreement {
    pub(super) conversation: &'static str,
    pub(super) group: String,
    pub(super) agree: bool,
    pub(super) views: Vec<View>,
    /// What the demo knows must be: the messages in order, the roster and the name.
    #[serde(skip)]
    pub(super) truth: Truth,
}

/// What must come out.
pub(super) struct Truth {
    pub(super) messages: Vec<Text>,
    pub(super) roster: BTreeSet<String>,
    pub(super) name: String,
}

impl Agreement {
    /// Compares every view with the truth, and the epochs of members with each other.
    pub(super) fn new(conversation: &'static str, group: String, mut views: Vec<View>, truth: Truth) -> Self {
        let first = views.iter().find(|view| view.member).map(|view| view.seen.clone());
        for view in &mut views {
            let messages: Vec<&Text> = truth.messages.iter().filter(|text| view.expected.contains(&text.id)).collect();
            let texts = view.seen.messages.iter().eq(messages);
            let state = match (&first, view.member) {
                (Some(first), true) => {
                    view.seen.active
                        && view.seen.epoch == first.epoch
                        && !view.seen.authenticator.is_empty()
                        && view.seen.authenticator == first.authenticator
                        && view.seen.members == truth.roster
                        && view.seen.name == truth.name
                }
                _ => !view.seen.active,
            };
            view.right = texts && state;
        }
        let agree = first.is_some() && views.iter().all(|view| view.right);
        Self { conversation, group, agree, views, truth }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &str) -> Text {
        Text { id: id.into(), sender: "a".into(), text: "hello".into() }
    }

    fn view(expected: &[&str], seen: &[&str], change: impl FnOnce(&mut Seen)) -> View {
        let mut seen = Seen {
            active: true,
            epoch: 3,
            authenticator: "aa".into(),
            members: BTreeSet::from(["a".into()]),
            name: "n".into(),
            messages: seen.iter().map(|id| text(id)).collect(),
        };
        change(&mut seen);
        let member = seen.active;
        let expected = expected.iter().map(|id| (*id).to_owned()).collect();
        View {
            client: String::new(),
            inbox: String::new(),
            installation: String::new(),
            member,
            seen,
            right: false,
            expected,
        }
    }

    fn agree(views: Vec<View>) -> bool {
        let truth =
            Truth { messages: vec![text("1"), text("2")], roster: BTreeSet::from(["a".into()]), name: "n".into() };
        Agreement::new("c", "g".into(), views, truth).agree
    }

    #[test]
    fn who_joins_late_or_leaves_early_agrees_about_the_rest() {
        let whole = || view(&["1", "2"], &["1", "2"], |_| {});
        assert!(agree(vec![whole(), whole()]));
        assert!(agree(vec![whole(), view(&["2"], &["2"], |_| {})]));
        assert!(agree(vec![whole(), view(&["1"], &["1"], |seen| (seen.active, seen.epoch) = (false, 2))]));
    }

    #[test]
    fn any_difference_is_disagreement() {
        let whole = || view(&["1", "2"], &["1", "2"], |_| {});
        let others: [fn(&mut Seen); 5] = [
            |seen| seen.epoch = 4,
            |seen| seen.authenticator = "ab".into(),
            |seen| seen.members.clear(),
            |seen| seen.name = "m".into(),
            |seen| seen.messages.reverse(),
        ];
        for other in others {
            assert!(!agree(vec![whole(), view(&["1", "2"], &["1", "2"], other)]));
        }
        assert!(!agree(vec![whole(), view(&["1", "2"], &["1"], |_| {})]));
        assert!(!agree(Vec::new()));
    }
}
