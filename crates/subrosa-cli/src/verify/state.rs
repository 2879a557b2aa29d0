//! The state of an inbox: a tree for people, and the shape of the vectors for programs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use subrosa_identity::{AssociationState, Member, MemberIdentifier, utc_seconds};
use subrosa_types::hex;

use crate::{
    paint::{Page, Style},
    update::{member, member_at_party, member_kind, named},
};

/// Deepest level that is indented: below it members stand at this level, each with who added it.
const DEEPEST: usize = 12;

/// The state in the shape of the vectors: members by kind and identifier, numbers of 64 bits as decimal strings.
pub(super) fn json(state: &AssociationState) -> Value {
    let mut members = state.members();
    members.sort_by_key(|member| (member_kind(&member.identifier), member.identifier.text()));
    json!({
        "inbox_id": state.inbox_id().to_hex(),
        "recovery_identifier": named(&state.recovery_identifier().into()),
        "members": members.into_iter().map(member_json).collect::<Vec<_>>(),
        "seen_signatures": state.seen_signatures().map(hex::encode).collect::<Vec<_>>(),
    })
}

fn member_json(member: &Member) -> Value {
    let mut value = named(&member.identifier);
    value["added_by"] = json!(member.added_by.as_ref().map(named));
    value["client_timestamp_ns"] = json!(member.client_timestamp_ns.map(|time| time.to_string()));
    value["added_on_chain_id"] = json!(member.added_on_chain_id.map(|id| id.to_string()));
    value
}

/// The members in a few words.
pub(super) fn summary(state: &AssociationState) -> String {
    let identifiers = state.identifiers().len();
    let installations = state.members().len() - identifiers;
    format!("{}, {}", count(identifiers, "identifier"), count(installations, "installation"))
}

/// A number of things.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The state as a tree: under each member those it added.
pub(super) fn show(page: &mut Page, indent: usize, state: &AssociationState) {
    let recovery: MemberIdentifier = state.recovery_identifier().into();
    let note = if state.has_member(&recovery) { "" } else { "  not a member" };
    page.row(indent, &[(Style::Faint, "recovery  "), (Style::Plain, &member(&recovery)), (Style::Faint, note)]);
    let mut tree = Tree::new(state);
    for root in tree.roots.clone() {
        tree.show(page, indent, root, "");
    }
    for (parent, children) in std::mem::take(&mut tree.orphans) {
        page.row(
            indent,
            &[(Style::Faint, "added by "), (Style::Plain, &member(parent)), (Style::Faint, ", not a member")],
        );
        for (index, child) in children.iter().enumerate() {
            tree.show(page, indent, child, if index + 1 == children.len() { "└─ " } else { "├─ " });
        }
    }
    // Who was added again by somebody it added itself hangs from nobody.
    for one in state.members() {
        tree.show(page, indent, one, "");
    }
    if state.members().is_empty() {
        page.row(indent, &[(Style::Faint, "no members")]);
    }
}

struct Tree<'a> {
    /// Who created the inbox, while a member.
    roots: Vec<&'a Member>,
    /// Members by the member that added them, in listing order.
    children: BTreeMap<&'a MemberIdentifier, Vec<&'a Member>>,
    /// The same for those who added and are no members.
    orphans: BTreeMap<&'a MemberIdentifier, Vec<&'a Member>>,
    shown: BTreeSet<&'a MemberIdentifier>,
}

impl<'a> Tree<'a> {
    fn new(state: &'a AssociationState) -> Self {
        let (mut roots, mut children, mut orphans) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for member in state.members() {
            match &member.added_by {
                None => roots.push(member),
                Some(parent) => {
                    let of = if state.has_member(parent) { &mut children } else { &mut orphans };
                    of.entry(parent).or_insert_with(Vec::new).push(member);
                }
            }
        }
        Self { roots, children, orphans, shown: BTreeSet::new() }
    }

    /// A member and all below it that were not shown yet. No recursion: peers decide how deep a tree is.
    fn show(&mut self, page: &mut Page, indent: usize, root: &'a Member, branch: &str) {
        let mut open = vec![(root, branch.to_owned(), 0)];
        while let Some((one, branch, depth)) = open.pop() {
            if !self.shown.insert(&one.identifier) {
                continue;
            }
            show_one(page, indent, one, &branch, depth);
            let below = self.children.get(&one.identifier).map_or(&[][..], Vec::as_slice);
            let trunk = branch.replace("├─ ", "│  ").replace("└─ ", "   ");
            for (index, child) in below.iter().enumerate().rev() {
                let last = index + 1 == below.len();
                let (branch, depth) = if depth < DEEPEST {
                    (format!("{trunk}{}", if last { "└─ " } else { "├─ " }), depth + 1)
                } else {
                    (branch.clone(), depth)
                };
                open.push((child, branch, depth));
            }
        }
    }
}

/// One member.
fn show_one(page: &mut Page, indent: usize, one: &Member, branch: &str, depth: usize) {
    let mut facts = match (one.client_timestamp_ns, &one.added_by) {
        (Some(time), _) => format!("  {}", utc_seconds(time)),
        (None, None) => "  created the inbox".to_owned(),
        (None, Some(_)) => String::new(),
    };
    if let Some(chain) = one.added_on_chain_id {
        facts.push_str(&format!("  on chain {chain}"));
    }
    // Where the tree does not show it: at the deepest level, and in circles.
    if let Some(parent) = &one.added_by
        && (depth == DEEPEST || branch.is_empty())
    {
        facts.push_str(&format!("  added by {}", member(parent)));
    }
    let parts =
        [(Style::Faint, branch), (Style::Plain, &member_at_party(&one.identifier)), (Style::Faint, facts.as_str())];
    page.row(indent, &parts);
}

#[cfg(test)]
mod tests {
    use subrosa_proto::xmtp::identity::associations as proto;

    use super::*;
    use crate::paint::Paint;

    fn address(number: usize) -> proto::MemberIdentifier {
        let kind = proto::member_identifier::Kind::EthereumAddress(format!("0x{number:040x}"));
        proto::MemberIdentifier { kind: Some(kind) }
    }

    /// Members by number, each with who added it; the recovery identifier is number 0.
    fn shown(members: &[(usize, Option<usize>)]) -> String {
        let member = |&(number, parent): &(usize, Option<usize>)| proto::MemberMap {
            key: Some(address(number)),
            value: Some(proto::Member {
                identifier: Some(address(number)),
                added_by_entity: parent.map(address),
                client_timestamp_ns: parent.and(u64::try_from(number).ok()),
                added_on_chain_id: (number == 1).then_some(8453),
            }),
        };
        let state = proto::AssociationState {
            inbox_id: "ab".repeat(32),
            members: members.iter().map(member).collect(),
            recovery_identifier: format!("0x{:040x}", 0),
            ..Default::default()
        };
        let mut page = Page::new(Paint::plain());
        show(&mut page, 0, &AssociationState::from_trusted_proto(state).unwrap());
        page.finish().replace("000000000000000000000000000000000000", "")
    }

    #[test]
    fn members_stand_under_who_added_them() {
        let want = "\
recovery  address 0x0000
address 0x0000  created the inbox
├─ address 0x0001  1970-01-01T00:00:00Z  on chain 8453
│  └─ address 0x0002  1970-01-01T00:00:00Z
└─ address 0x0003  1970-01-01T00:00:00Z
";
        assert_eq!(shown(&[(0, None), (1, Some(0)), (2, Some(1)), (3, Some(0))]), want);
    }

    #[test]
    fn who_was_added_by_no_member_is_not_lost() {
        let want = "\
recovery  address 0x0000  not a member
added by address 0x0009, not a member
└─ address 0x0001  1970-01-01T00:00:00Z  on chain 8453
   └─ address 0x0002  1970-01-01T00:00:00Z
";
        assert_eq!(shown(&[(1, Some(9)), (2, Some(1))]), want);
        assert_eq!(shown(&[]), "recovery  address 0x0000  not a member\nno members\n");
    }

    #[test]
    fn members_that_added_each_other_are_shown_once() {
        let want = "\
recovery  address 0x0000  not a member
address 0x0001  1970-01-01T00:00:00Z  on chain 8453  added by address 0x0002
└─ address 0x0002  1970-01-01T00:00:00Z
";
        assert_eq!(shown(&[(1, Some(2)), (2, Some(1))]), want);
    }

    #[test]
    fn a_deep_tree_stays_narrow() {
        let mut members = vec![(0, None)];
        members.extend((1..2_000).map(|number| (number, Some(number - 1))));
        let text = shown(&members);
        assert_eq!(text.lines().count(), 2_001);
        assert!(text.lines().all(|line| line.chars().count() < 200), "{text}");
        assert!(text.lines().last().unwrap().contains("added by address 0x07ce"), "{text}");
    }
}
