//! The parts of a conversation that are lists and maps, as one value.

use std::collections::BTreeMap;

use subrosa_sync::Conversation;
use subrosa_types::{InboxId, SequenceId};

use crate::{StoreError, value};

/// First byte of the value.
const FORMAT: u8 = 1;

/// Members, attributes, admins and policies of a conversation.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Details {
    pub(crate) members: BTreeMap<InboxId, SequenceId>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) admins: Vec<String>,
    pub(crate) super_admins: Vec<String>,
    pub(crate) permissions: Vec<u8>,
}

/// Encodes them, format 1. Numbers are little-endian; a count or length has 4 bytes.
///
/// ```text
/// 1                         format number
/// count × (32 + 8)          members: inbox id, sequence id
/// count × (text, text)      attributes; a text is its length and that many bytes of UTF-8
/// count × text              admins
/// count × text              super admins
/// length, bytes             permissions
/// ```
pub(crate) fn encode(conversation: &Conversation) -> Result<Vec<u8>, StoreError> {
    let Conversation { members, attributes, admins, super_admins, permissions, .. } = conversation;
    let mut out = Vec::with_capacity(64 + members.len() * 40 + permissions.len());
    out.push(FORMAT);
    put_count(&mut out, members.len())?;
    for (inbox, sequence) in members {
        out.extend_from_slice(inbox.as_bytes());
        out.extend_from_slice(&sequence.0.to_le_bytes());
    }
    put_count(&mut out, attributes.len())?;
    for (name, text) in attributes {
        put_bytes(&mut out, name.as_bytes())?;
        put_bytes(&mut out, text.as_bytes())?;
    }
    for list in [admins, super_admins] {
        put_count(&mut out, list.len())?;
        for text in list {
            put_bytes(&mut out, text.as_bytes())?;
        }
    }
    put_bytes(&mut out, permissions)?;
    Ok(out)
}

/// Decodes what [`encode`] made; refuses anything else, also bytes behind it.
pub(crate) fn decode(stored: &[u8]) -> Result<Details, StoreError> {
    read(stored).ok_or(value::corrupt("conversations.details"))
}

fn read(stored: &[u8]) -> Option<Details> {
    let mut input = stored;
    let [FORMAT] = take(&mut input, 1)? else { return None };
    let mut members = BTreeMap::new();
    for _ in 0..take_count(&mut input)? {
        let inbox = InboxId::from_slice(take(&mut input, InboxId::LEN)?).ok()?;
        let sequence = u64::from_le_bytes(take(&mut input, 8)?.try_into().ok()?);
        members.insert(inbox, SequenceId(sequence));
    }
    let mut attributes = BTreeMap::new();
    for _ in 0..take_count(&mut input)? {
        attributes.insert(take_text(&mut input)?, take_text(&mut input)?);
    }
    let admins = take_texts(&mut input)?;
    let super_admins = take_texts(&mut input)?;
    let permissions = take_bytes(&mut input)?.to_vec();
    input.is_empty().then_some(Details { members, attributes, admins, super_admins, permissions })
}

fn put_count(out: &mut Vec<u8>, count: usize) -> Result<(), StoreError> {
    let count = u32::try_from(count).map_err(|_| StoreError::OutOfRange(count as u64))?;
    out.extend_from_slice(&count.to_le_bytes());
    Ok(())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), StoreError> {
    put_count(out, bytes.len())?;
    out.extend_from_slice(bytes);
    Ok(())
}

fn take<'i>(input: &mut &'i [u8], length: usize) -> Option<&'i [u8]> {
    let (head, tail) = input.split_at_checked(length)?;
    *input = tail;
    Some(head)
}

fn take_count(input: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(input, 4)?.try_into().ok()?)).ok()
}

fn take_bytes<'i>(input: &mut &'i [u8]) -> Option<&'i [u8]> {
    let length = take_count(input)?;
    take(input, length)
}

fn take_text(input: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(input)?.to_vec()).ok()
}

fn take_texts(input: &mut &[u8]) -> Option<Vec<String>> {
    // Not reserved at once: the count is data until the texts are there.
    let mut texts = Vec::new();
    for _ in 0..take_count(input)? {
        texts.push(take_text(input)?);
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};
    use subrosa_sync::{ConversationKind, MembershipState};
    use subrosa_types::{Epoch, GroupId, UnixNanos};

    use super::*;

    fn with(details: &Details) -> Conversation {
        let Details { members, attributes, admins, super_admins, permissions } = details;
        Conversation {
            id: GroupId::from_slice(&[1]).unwrap(),
            version: 1,
            kind: ConversationKind::Group,
            dm_peer: None,
            created_at: UnixNanos::EPOCH,
            membership: MembershipState::Allowed,
            active: true,
            creator: InboxId::from_bytes([1; 32]),
            added_by: InboxId::from_bytes([1; 32]),
            welcome: None,
            installations_checked: UnixNanos::EPOCH,
            rotated_at: UnixNanos::EPOCH,
            last_message: None,
            paused_for: None,
            maybe_forked: false,
            held: None,
            epoch: Epoch(0),
            authenticator: Vec::new(),
            members: members.clone(),
            attributes: attributes.clone(),
            admins: admins.clone(),
            super_admins: super_admins.clone(),
            permissions: permissions.clone(),
        }
    }

    prop_compose! {
        fn details()(
            members in btree_map(any::<[u8; 32]>(), any::<u64>(), 0..5),
            attributes in btree_map(".*", ".*", 0..4),
            admins: Vec<String>,
            super_admins: Vec<String>,
            permissions: Vec<u8>,
        ) -> Details {
            let members = members.into_iter().map(|(id, at)| (InboxId::from_bytes(id), SequenceId(at))).collect();
            Details { members, attributes, admins, super_admins, permissions }
        }
    }

    proptest! {
        #[test]
        fn decoding_inverts_encoding(details in details()) {
            let stored = encode(&with(&details)).unwrap();
            prop_assert_eq!(decode(&stored).unwrap(), details);
        }

        #[test]
        fn a_cut_or_lengthened_value_is_refused(details in details(), cut: prop::sample::Index) {
            let mut stored = encode(&with(&details)).unwrap();
            prop_assert!(decode(&stored[..cut.index(stored.len())]).is_err());
            stored.push(0);
            prop_assert!(decode(&stored).is_err());
        }

        #[test]
        fn any_bytes_decode_or_are_refused(stored: Vec<u8>) {
            let _ = decode(&stored);
        }
    }

    /// The first format stays readable for ever.
    #[test]
    fn format_1_is_fixed() {
        let details = Details {
            members: BTreeMap::from([(InboxId::from_bytes([0xaa; 32]), SequenceId(258))]),
            attributes: BTreeMap::from([("n".to_owned(), "vw".to_owned())]),
            admins: vec!["a".to_owned()],
            super_admins: Vec::new(),
            permissions: vec![7],
        };
        let stored = encode(&with(&details)).unwrap();
        let want = format!(
            "01 01000000 {} 0201000000000000 01000000 01000000 6e 02000000 7677 01000000 01000000 61 \
             00000000 01000000 07",
            "aa".repeat(32)
        );
        let want: String = want.split_whitespace().collect();
        assert_eq!(subrosa_types::hex::encode(&stored), want);
        assert!(decode(&[2]).is_err(), "a later format");
    }
}
