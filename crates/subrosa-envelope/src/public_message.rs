//! The structure of a PublicMessage behind its epoch (RFC 9420 §6.2), checked to its end so that a truncated one
//! is never stored (envelopes §8, E3). Nothing is kept and nothing is verified.
//!
//! What the MLS library refuses is refused here as well, except for contents of known extensions: those it reads
//! and this does not.

use std::collections::BTreeSet;

use crate::{ContentKind, HeaderError, reader::Reader};

type Checked = Result<(), HeaderError>;

/// Walks over the rest of a PublicMessage and tells what it holds.
pub(crate) fn check(reader: &mut Reader<'_>) -> Result<ContentKind, HeaderError> {
    let from_member = sender(reader)?;
    // Authenticated data.
    reader.vector()?;
    let content = ContentKind::from_wire(reader.u8()?)?;
    match content {
        ContentKind::Application => reader.skip_vectors(1)?,
        ContentKind::Proposal => proposal(reader)?,
        ContentKind::Commit => commit(reader)?,
    }
    // Signature; a commit adds a confirmation tag, a member a membership tag.
    let tags = usize::from(content == ContentKind::Commit) + usize::from(from_member);
    reader.skip_vectors(1 + tags)?;
    Ok(content)
}

/// Tells whether the sender is a member.
fn sender(reader: &mut Reader<'_>) -> Result<bool, HeaderError> {
    match reader.u8()? {
        1 => reader.u32().map(|_leaf| true),
        2 => reader.u32().map(|_index| false),
        3 | 4 => Ok(false),
        other => Err(HeaderError::Undefined(u16::from(other))),
    }
}

fn commit(reader: &mut Reader<'_>) -> Checked {
    reader.list(proposal_or_reference)?;
    match reader.u8()? {
        0 => Ok(()),
        1 => update_path(reader),
        other => Err(HeaderError::Undefined(u16::from(other))),
    }
}

fn proposal_or_reference(reader: &mut Reader<'_>) -> Checked {
    match reader.u8()? {
        1 => proposal(reader),
        2 => reader.skip_vectors(1),
        other => Err(HeaderError::Undefined(u16::from(other))),
    }
}

fn proposal(reader: &mut Reader<'_>) -> Checked {
    match reader.u16()? {
        1 => key_package(reader),
        2 => leaf_node(reader),
        3 => reader.u32().map(drop),
        4 => pre_shared_key(reader),
        5 => {
            reader.vector()?;
            version_and_suite(reader)?;
            extensions(reader)
        }
        7 => extensions(reader),
        // SelfRemove has no content.
        10 => Ok(()),
        // ExternalInit; and proposals newer than this code, whose content is one vector.
        _ => reader.skip_vectors(1),
    }
}

fn version_and_suite(reader: &mut Reader<'_>) -> Checked {
    reader.u16()?;
    match reader.u16()? {
        1..=7 => Ok(()),
        other => Err(HeaderError::Undefined(other)),
    }
}

fn key_package(reader: &mut Reader<'_>) -> Checked {
    version_and_suite(reader)?;
    // Init key.
    reader.vector()?;
    leaf_node(reader)?;
    extensions(reader)?;
    reader.skip_vectors(1)
}

fn leaf_node(reader: &mut Reader<'_>) -> Checked {
    // Encryption key, signature key, credential.
    reader.skip_vectors(2)?;
    reader.u16()?;
    reader.vector()?;
    // The five lists of capabilities.
    for _ in 0..5 {
        reader.list(|item| item.u16().map(drop))?;
    }
    match reader.u8()? {
        1 => {
            reader.u64()?;
            reader.u64()?;
        }
        2 => {}
        3 => reader.skip_vectors(1)?,
        other => return Err(HeaderError::Undefined(u16::from(other))),
    }
    extensions(reader)?;
    reader.skip_vectors(1)
}

fn extensions(reader: &mut Reader<'_>) -> Checked {
    let mut seen = BTreeSet::new();
    reader.list(|extension| {
        let kind = extension.u16()?;
        if !seen.insert(kind) {
            return Err(HeaderError::Duplicate(kind));
        }
        extension.skip_vectors(1)
    })
}

fn pre_shared_key(reader: &mut Reader<'_>) -> Checked {
    match reader.u8()? {
        1 => reader.skip_vectors(1)?,
        2 => {
            let usage = reader.u8()?;
            if !(1..=3).contains(&usage) {
                return Err(HeaderError::Undefined(u16::from(usage)));
            }
            reader.vector()?;
            reader.u64()?;
        }
        other => return Err(HeaderError::Undefined(u16::from(other))),
    }
    reader.skip_vectors(1)
}

fn update_path(reader: &mut Reader<'_>) -> Checked {
    leaf_node(reader)?;
    reader.list(|node| {
        node.vector()?;
        node.list(|ciphertext| ciphertext.skip_vectors(2))
    })
}
