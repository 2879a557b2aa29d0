//! Making a group (groups §2, §4.2).

use std::{collections::BTreeMap, fmt};

use openmls::{
    extensions::Extensions,
    group::{GroupContext, GroupId as MlsGroupId, MlsGroup, NewGroupError},
};
use subrosa_identity::InstallationKey;
use subrosa_proto::xmtp::mls::message_contents::OneshotMessage;
use subrosa_types::{GroupId, IdError, InboxId, SequenceId, UnixNanos, hex};
use zeroize::Zeroizing;

use super::Group;
use crate::{
    context::{
        self, ConversationKind, DmMembers, ImmutableMetadata, Membership, MutableMetadata, PolicySet, attribute,
    },
    profile::{self, CIPHERSUITE},
    provider::Provider,
    random::{RandomError, Randomness},
    rows::{RowError, Rows},
    signer::{MlsSigner, credential},
};

/// A group to be made.
#[derive(Clone)]
pub struct NewGroup {
    /// What kind of conversation, with what belongs to it.
    pub kind: NewKind,
    /// Attributes that differ from the empty defaults: name, description, image, app data, disappearing settings.
    pub attributes: BTreeMap<String, String>,
}

/// The kind of a group to be made (groups §2.7).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NewKind {
    /// A group with these permissions.
    Group(PolicySet),
    /// A conversation with this inbox. Add it in the first commit.
    Dm(InboxId),
    /// The own installations among themselves.
    Sync,
    /// Carries this message to whoever is added.
    Oneshot(OneshotMessage),
}

impl fmt::Debug for NewGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, attributes } = self;
        f.debug_struct("NewGroup").field("kind", kind).field("attributes", &attributes.keys()).finish()
    }
}

/// Why a group could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// An attribute is longer than its limit (groups §2.3).
    #[error("attribute {key} has more than {limit} bytes")]
    TooLong {
        /// The attribute.
        key: String,
        /// Its limit in bytes.
        limit: usize,
    },
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The MLS library refused.
    #[error("the group could not be built")]
    Build(#[source] NewGroupError<RowError>),
    /// The context extensions are not allowed in a group context: an error of this software.
    #[error("the group context is not allowed")]
    Context,
    /// The random id is no group id: an error of this software.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl Group {
    /// Makes a group at epoch 0 with the creator's installation as the only leaf. Nothing is sent; drain and store
    /// it. The first membership commit raises the creator's sequence id from 0 (groups §2.4).
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn create(
        new: NewGroup,
        creator: &InboxId,
        key: &InstallationKey,
        now: UnixNanos,
        random: &Randomness,
    ) -> Result<Self, CreateError> {
        let id = GroupId::from_slice(&random.array::<{ GroupId::LEN }>()?)?;
        let extensions = extensions(new, creator, random)?;
        let config = profile::join_config();
        let provider = Provider::new(Rows::over([]), random.clone());
        let mls = MlsGroup::builder()
            .with_group_id(MlsGroupId::from_slice(id.as_bytes()))
            .ciphersuite(CIPHERSUITE)
            .lifetime(profile::lifetime(now))
            .with_capabilities(profile::creator_capabilities())
            .with_group_context_extensions(extensions)
            .with_wire_format_policy(config.wire_format_policy())
            .max_past_epochs(profile::PAST_EPOCHS)
            .number_of_resumption_psks(0)
            .use_ratchet_tree_extension(true)
            .build(&provider, &MlsSigner(key), credential(creator, key))
            .map_err(CreateError::Build)?;
        Ok(Self::new(id, mls, provider))
    }
}

/// The five extensions, in the order in which a new group has them (groups §2.1).
fn extensions(new: NewGroup, creator: &InboxId, random: &Randomness) -> Result<Extensions<GroupContext>, CreateError> {
    let mutable = mutable(&new, creator, random)?;
    let membership = Membership { members: [(*creator, SequenceId::START)].into(), ..Membership::default() };
    let mut immutable =
        ImmutableMetadata { kind: ConversationKind::Group, creator: creator.to_hex(), dm_members: None, oneshot: None };
    let policies = match new.kind {
        NewKind::Group(policies) => policies,
        NewKind::Dm(peer) => {
            immutable.kind = ConversationKind::Dm;
            immutable.dm_members = Some(DmMembers { one: creator.to_hex(), two: peer.to_hex() });
            PolicySet::dm()
        }
        NewKind::Sync => {
            immutable.kind = ConversationKind::Sync;
            PolicySet::all_members()
        }
        NewKind::Oneshot(message) => {
            immutable.kind = ConversationKind::Oneshot;
            immutable.oneshot = Some(message);
            PolicySet::all_members()
        }
    };
    Extensions::from_vec(vec![
        context::unknown(profile::IMMUTABLE_METADATA, immutable.to_bytes()),
        context::unknown(profile::MUTABLE_METADATA, mutable.to_bytes()),
        context::unknown(profile::MEMBERSHIP, membership.to_bytes()),
        context::unknown(profile::PERMISSIONS, policies.to_bytes()),
        profile::required_capabilities(),
    ])
    .map_err(|_| CreateError::Context)
}

/// Attributes and roles at creation (groups §2.3).
fn mutable(new: &NewGroup, creator: &InboxId, random: &Randomness) -> Result<MutableMetadata, CreateError> {
    let is_dm = matches!(new.kind, NewKind::Dm(_));
    let mut defaults = vec![attribute::NAME, attribute::DESCRIPTION, attribute::IMAGE_URL];
    if !is_dm {
        defaults.push(attribute::APP_DATA);
    }
    let mut attributes: BTreeMap<String, String> =
        defaults.into_iter().map(|key| (key.to_owned(), String::new())).collect();
    let signer = Zeroizing::new(random.array::<32>()?);
    attributes.insert(attribute::COMMIT_LOG_SIGNER.to_owned(), hex::encode(&*signer));
    for (key, value) in &new.attributes {
        if let Some(limit) = attribute::limit(key)
            && value.len() > limit
        {
            return Err(CreateError::TooLong { key: key.clone(), limit });
        }
        attributes.insert(key.clone(), value.clone());
    }
    let super_admins = if is_dm { Vec::new() } else { vec![creator.to_hex()] };
    Ok(MutableMetadata { attributes, admins: Vec::new(), super_admins })
}
