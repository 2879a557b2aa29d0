//! Our header parser and the MLS library must agree on what a group message is: what one accepts and the other
//! refuses would be stored by a node and never read.

use openmls::prelude::{ContentType, MlsMessageBodyIn, MlsMessageIn, ProtocolMessage, tls_codec::Deserialize};
use proptest::prelude::*;
use subrosa_envelope::{ContentKind, MessageHeader};
use subrosa_types::Epoch;

use crate::public_messages::{MEMBER, commit, key_package, message, proposals, typed};

/// Group id, epoch and content type as the library reads them.
fn library(data: &[u8]) -> Option<(Vec<u8>, Epoch, ContentKind)> {
    let message = MlsMessageIn::tls_deserialize(&mut &data[..]).ok()?;
    let message: ProtocolMessage = match message.extract() {
        MlsMessageBodyIn::PublicMessage(message) => message.into(),
        MlsMessageBodyIn::PrivateMessage(message) => message.into(),
        _ => return None,
    };
    let content = match message.content_type() {
        ContentType::Application => ContentKind::Application,
        ContentType::Proposal => ContentKind::Proposal,
        ContentType::Commit => ContentKind::Commit,
    };
    Some((message.group_id().to_vec(), Epoch(message.epoch().as_u64()), content))
}

fn ours(data: &[u8]) -> Option<(Vec<u8>, Epoch, ContentKind)> {
    let header = MessageHeader::parse(data).ok()?;
    Some((header.group_id.as_bytes().to_vec(), header.epoch, header.content))
}

/// One complete message of each shape.
fn samples() -> Vec<Vec<u8>> {
    let private = |content: u8| {
        let head = [&[0, 1, 0, 2, 16][..], &[7; 16], &9u64.to_be_bytes(), &[content]].concat();
        [&head[..], &[0, 2, 8, 8, 0x40, 64], &[3; 64]].concat()
    };
    let mut samples: Vec<Vec<u8>> = (1..=3).map(private).collect();
    samples.push(message(MEMBER, 3, &commit()));
    samples.extend(proposals().into_iter().map(|(kind, body)| message(MEMBER, 2, &typed(kind, &body))));
    samples.push([&[0, 1, 0, 5][..], &key_package()].concat());
    samples
}

#[test]
fn whole_messages_are_read_alike() {
    let wrong: Vec<usize> =
        samples().iter().enumerate().filter(|(_, sample)| ours(sample) != library(sample)).map(|(at, _)| at).collect();
    assert_eq!(wrong, [0; 0]);
}

#[test]
fn every_truncation_is_judged_alike() {
    for (at, sample) in samples().iter().enumerate() {
        for end in 0..sample.len() {
            assert_eq!(ours(&sample[..end]), library(&sample[..end]), "sample {at}, {end} bytes");
        }
    }
}

#[test]
fn every_change_of_one_byte_is_judged_alike() {
    for (at, sample) in samples().iter().enumerate() {
        for byte in 0..sample.len() {
            let mut data = sample.clone();
            // The long commit repeats what the proposals show alone.
            for value in (0..=u8::MAX).step_by(if sample.len() > 500 { 7 } else { 1 }) {
                data[byte] = value;
                assert_eq!(ours(&data), library(&data), "sample {at}, byte {byte} is {value}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_after_the_version_are_judged_alike(format in 0u8..6, rest: Vec<u8>) {
        let data = [&[0, 1, 0, format][..], &rest].concat();
        prop_assert_eq!(ours(&data), library(&data));
    }
}
