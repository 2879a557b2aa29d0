//! Public messages: never sent by official clients, accepted by all, so a node must refuse broken ones.

use subrosa_envelope::{ContentKind, HeaderError, MessageHeader, WireFormat};

/// A vector with its length in the shortest form.
fn v(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    let prefix = match length {
        0..64 => vec![u8::try_from(length).unwrap()],
        _ => (u16::try_from(length).unwrap() | 0x4000).to_be_bytes().to_vec(),
    };
    [&prefix[..], bytes].concat()
}

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn extensions() -> Vec<u8> {
    v(&join(&[&[0xff, 0x77], &v(&[1; 70]), &[0xff, 0x78], &v(&[])]))
}

/// `source`: the leaf node source and what follows from it.
fn leaf_node(source: &[u8]) -> Vec<u8> {
    let capabilities = join(&[&v(&[0, 1]), &v(&[0, 3]), &v(&[0, 10]), &v(&[]), &v(&[0, 1])]);
    join(&[&v(&[1; 32]), &v(&[2; 32]), &[0, 1], &v(b"inbox"), &capabilities, source, &extensions(), &v(&[3; 64])])
}

pub(crate) fn key_package() -> Vec<u8> {
    let leaf = leaf_node(&join(&[&[1], &[0; 16]]));
    join(&[&[0, 1, 0, 3], &v(&[4; 32]), &leaf, &extensions(), &v(&[5; 64])])
}

pub(crate) fn proposals() -> Vec<(u16, Vec<u8>)> {
    vec![
        (1, key_package()),
        (2, leaf_node(&[2])),
        (3, vec![0, 0, 0, 1]),
        (4, join(&[&[1], &v(b"id"), &v(&[6; 32])])),
        (4, join(&[&[2, 1], &v(&[7; 16]), &[0; 8], &v(&[6; 32])])),
        (5, join(&[&v(&[7; 16]), &[0, 1, 0, 3], &extensions()])),
        (6, v(&[8; 32])),
        (7, extensions()),
        (10, vec![]),
        (0xff01, v(&[9; 9])),
    ]
}

pub(crate) fn typed(kind: u16, body: &[u8]) -> Vec<u8> {
    join(&[&kind.to_be_bytes(), body])
}

pub(crate) fn commit() -> Vec<u8> {
    let by_value = proposals().iter().flat_map(|(kind, body)| join(&[&[1], &typed(*kind, body)])).collect::<Vec<_>>();
    let by_reference = join(&[&[2], &v(&[1; 32])]);
    let ciphertext = join(&[&v(&[2; 32]), &v(&[3; 48])]);
    let node = join(&[&v(&[1; 32]), &v(&join(&[&ciphertext, &ciphertext]))]);
    let path = join(&[&leaf_node(&join(&[&[3], &v(&[4; 32])])), &v(&join(&[&node, &node]))]);
    join(&[&v(&join(&[&by_value, &by_reference])), &[1], &path])
}

pub(crate) const MEMBER: &[u8] = &[1, 0, 0, 0, 0];

pub(crate) fn message(sender: &[u8], content: u8, body: &[u8]) -> Vec<u8> {
    let head = join(&[&[0, 1, 0, 1], &v(&[0xaa; 16]), &5u64.to_be_bytes(), sender, &v(b"aad"), &[content]]);
    let confirmation = if content == 3 { v(&[1; 32]) } else { vec![] };
    let membership = if sender[0] == 1 { v(&[2; 32]) } else { vec![] };
    join(&[&head, body, &v(&[0; 64]), &confirmation, &membership])
}

#[track_caller]
fn accepts(bytes: &[u8], content: ContentKind) {
    let header = MessageHeader::parse(bytes).unwrap();
    assert_eq!(header.wire_format, WireFormat::Public);
    assert_eq!(header.epoch.0, 5);
    assert_eq!(header.content, content);
    for end in 1..bytes.len() {
        let refused = MessageHeader::parse(&bytes[..end]);
        assert!(refused.is_err(), "{end} of {} bytes: {refused:?}", bytes.len());
    }
    assert_eq!(MessageHeader::parse(&join(&[bytes, &[0; 5]])), Ok(header));
}

#[test]
fn e3_commits_are_accepted_whole_and_refused_in_part() {
    accepts(&message(MEMBER, 3, &commit()), ContentKind::Commit);
    accepts(&message(MEMBER, 3, &[0, 0]), ContentKind::Commit);
    accepts(&message(&[4], 3, &commit()), ContentKind::Commit);
}

#[test]
fn e3_proposals_are_accepted_whole_and_refused_in_part() {
    for (kind, body) in proposals() {
        accepts(&message(MEMBER, 2, &typed(kind, &body)), ContentKind::Proposal);
        accepts(&message(&[2, 0, 0, 0, 7], 2, &typed(kind, &body)), ContentKind::Proposal);
        accepts(&message(&[3], 2, &typed(kind, &body)), ContentKind::Proposal);
    }
}

#[test]
fn application_data_is_one_vector() {
    accepts(&message(MEMBER, 1, &v(&[1; 100])), ContentKind::Application);
}

#[test]
fn undefined_values_are_refused() {
    let refuses = |bytes: Vec<u8>, want| assert_eq!(MessageHeader::parse(&bytes), Err(want));
    refuses(message(&[5], 2, &typed(3, &[0; 4])), HeaderError::Undefined(5));
    refuses(message(MEMBER, 4, &[]), HeaderError::ContentType(4));
    refuses(message(MEMBER, 2, &typed(4, &[2, 4])), HeaderError::Undefined(4));
    refuses(message(MEMBER, 2, &typed(1, &[0, 1, 0, 8])), HeaderError::Undefined(8));
    let twice = v(&join(&[&[0xff, 1], &v(&[]), &[0xff, 1], &v(&[])]));
    refuses(message(MEMBER, 2, &typed(7, &twice)), HeaderError::Duplicate(0xff01));
    refuses(message(MEMBER, 2, &typed(2, &leaf_node(&[9]))), HeaderError::Undefined(9));
    refuses(message(MEMBER, 2, &typed(4, &[8])), HeaderError::Undefined(8));
    refuses(message(MEMBER, 3, &[2, 7, 0]), HeaderError::Undefined(7));
    refuses(message(MEMBER, 3, &[0, 6]), HeaderError::Undefined(6));
}

#[test]
fn a_vector_never_reaches_beyond_the_one_around_it() {
    // The list of proposals ends in the middle of a remove proposal; the bytes go on.
    let short = join(&[&v(&[1, 0, 3, 0, 0]), &[0, 0, 0, 0, 0, 0]]);
    assert_eq!(MessageHeader::parse(&message(MEMBER, 3, &short)), Err(HeaderError::Truncated));
}
