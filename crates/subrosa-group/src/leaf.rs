//! Leaves of the tree: which installation of which inbox.

use openmls::{
    credentials::{BasicCredential, Credential},
    group::Member,
    prelude::LeafNode,
};
use subrosa_identity::inbox_of_credential;
use subrosa_types::{InboxId, InstallationId};

/// One leaf of a group's tree.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leaf {
    /// Position in the tree.
    pub index: u32,
    /// The inbox its credential names; `None` if the credential names none. A claim: whether the inbox holds the
    /// installation is for its association state to say (groups §7.3).
    pub inbox: Option<InboxId>,
    /// The installation: its signature key.
    pub installation: InstallationId,
    /// Public key the leaf is encrypted to, 32 bytes.
    pub encryption_key: Vec<u8>,
}

/// Who a message or commit comes from: an inbox, by one of its installations.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sender {
    /// The inbox that the leaf's credential names.
    pub inbox: InboxId,
    /// The installation: the leaf's signature key.
    pub installation: InstallationId,
}

impl Leaf {
    /// `None` if the signature key is not an Ed25519 key; the MLS library lets no such leaf in.
    pub(crate) fn of_member(member: &Member) -> Option<Self> {
        Some(Self {
            index: member.index.u32(),
            inbox: inbox_of(&member.credential),
            installation: InstallationId::from_slice(&member.signature_key).ok()?,
            encryption_key: member.encryption_key.clone(),
        })
    }
}

/// The inbox and installation of a leaf node; `None` where one of them cannot be read.
pub(crate) fn sender_of(leaf: &LeafNode) -> Option<Sender> {
    let installation = InstallationId::from_slice(leaf.signature_key().as_slice()).ok()?;
    Some(Sender { inbox: inbox_of(leaf.credential())?, installation })
}

/// The inbox that a credential names (groups §1.1).
pub(crate) fn inbox_of(credential: &Credential) -> Option<InboxId> {
    let basic = BasicCredential::try_from(credential.clone()).ok()?;
    inbox_of_credential(basic.identity()).ok()
}
