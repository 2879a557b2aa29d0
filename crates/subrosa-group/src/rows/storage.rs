//! [`Rows`] as the storage of the MLS library.
//!
//! Group rows are scoped by group id. The join configuration is a constant and not stored; stand-alone proposals are
//! never stored for groups of this kind, so their queue is one row (groups §3.7).

use openmls_traits::storage::{CURRENT_VERSION, StorageProvider, traits};
use serde::{Serialize, de::DeserializeOwned};

use super::{RowError, RowKey, Rows, label};
use crate::profile;

/// The bytes of a key whose serde form is one byte string.
fn bytes_of(label: u8, key: &impl Serialize) -> Result<Vec<u8>, RowError> {
    let encoded = postcard::to_allocvec(key).map_err(|_| RowError::Encode(label))?;
    postcard::from_bytes(&encoded).map_err(|_| RowError::Encode(label))
}

fn in_group(label: u8, group: &impl Serialize) -> Result<RowKey, RowError> {
    Ok(RowKey { scope: bytes_of(label, group)?, label, key: Vec::new() })
}

fn epoch_keys(group: &impl Serialize, epoch: &impl Serialize, leaf: u32) -> Result<RowKey, RowError> {
    let label = label::EPOCH_KEY_PAIRS;
    let key = postcard::to_allocvec(&(epoch, leaf)).map_err(|_| RowError::Encode(label))?;
    Ok(RowKey { scope: bytes_of(label, group)?, label, key })
}

pub(crate) fn installation_wide(label: u8, key: &impl Serialize) -> Result<RowKey, RowError> {
    let key = postcard::to_allocvec(key).map_err(|_| RowError::Encode(label))?;
    Ok(RowKey { scope: Vec::new(), label, key })
}

impl Rows {
    /// Writes never fail towards the library; the drain tells.
    fn store<V: Serialize + ?Sized>(&self, key: Result<RowKey, RowError>, value: &V) {
        match key {
            Ok(key) => self.write(key, value),
            Err(error) => self.fail(error),
        }
    }

    fn forget(&self, key: Result<RowKey, RowError>) {
        match key {
            Ok(key) => self.delete(key),
            Err(error) => self.fail(error),
        }
    }

    fn fetch<V: DeserializeOwned>(&self, key: Result<RowKey, RowError>) -> Result<Option<V>, RowError> {
        self.read(&key?)
    }
}

impl StorageProvider<CURRENT_VERSION> for Rows {
    type Error = RowError;

    fn write_tree<G: traits::GroupId<CURRENT_VERSION>, V: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::TREE, group_id), value);
        Ok(())
    }

    fn tree<G: traits::GroupId<CURRENT_VERSION>, V: traits::TreeSync<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::TREE, group_id))
    }

    fn delete_tree<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::TREE, group_id));
        Ok(())
    }

    fn write_interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::INTERIM_TRANSCRIPT_HASH, group_id), value);
        Ok(())
    }

    fn interim_transcript_hash<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::InterimTranscriptHash<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::INTERIM_TRANSCRIPT_HASH, group_id))
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<(), RowError> {
        self.forget(in_group(label::INTERIM_TRANSCRIPT_HASH, group_id));
        Ok(())
    }

    fn write_context<G: traits::GroupId<CURRENT_VERSION>, V: traits::GroupContext<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::CONTEXT, group_id), value);
        Ok(())
    }

    fn group_context<G: traits::GroupId<CURRENT_VERSION>, V: traits::GroupContext<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::CONTEXT, group_id))
    }

    fn delete_context<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::CONTEXT, group_id));
        Ok(())
    }

    fn write_confirmation_tag<G: traits::GroupId<CURRENT_VERSION>, V: traits::ConfirmationTag<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::CONFIRMATION_TAG, group_id), value);
        Ok(())
    }

    fn confirmation_tag<G: traits::GroupId<CURRENT_VERSION>, V: traits::ConfirmationTag<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::CONFIRMATION_TAG, group_id))
    }

    fn delete_confirmation_tag<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::CONFIRMATION_TAG, group_id));
        Ok(())
    }

    fn write_resumption_psk_store<
        G: traits::GroupId<CURRENT_VERSION>,
        V: traits::ResumptionPskStore<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::RESUMPTION_PSKS, group_id), value);
        Ok(())
    }

    fn resumption_psk_store<G: traits::GroupId<CURRENT_VERSION>, V: traits::ResumptionPskStore<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::RESUMPTION_PSKS, group_id))
    }

    fn delete_all_resumption_psk_secrets<G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<(), RowError> {
        self.forget(in_group(label::RESUMPTION_PSKS, group_id));
        Ok(())
    }

    fn write_own_leaf_index<G: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNodeIndex<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::OWN_LEAF_INDEX, group_id), value);
        Ok(())
    }

    fn own_leaf_index<G: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNodeIndex<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::OWN_LEAF_INDEX, group_id))
    }

    fn delete_own_leaf_index<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::OWN_LEAF_INDEX, group_id));
        Ok(())
    }

    fn write_group_epoch_secrets<G: traits::GroupId<CURRENT_VERSION>, V: traits::GroupEpochSecrets<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(in_group(label::EPOCH_SECRETS, group_id), value);
        Ok(())
    }

    fn group_epoch_secrets<G: traits::GroupId<CURRENT_VERSION>, V: traits::GroupEpochSecrets<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::EPOCH_SECRETS, group_id))
    }

    fn delete_group_epoch_secrets<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::EPOCH_SECRETS, group_id));
        Ok(())
    }

    fn write_group_state<V: traits::GroupState<CURRENT_VERSION>, G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        if !self.state().building {
            self.store(in_group(label::GROUP_STATE, group_id), value);
        }
        Ok(())
    }

    fn group_state<V: traits::GroupState<CURRENT_VERSION>, G: traits::GroupId<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::GROUP_STATE, group_id))
    }

    fn delete_group_state<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::GROUP_STATE, group_id));
        Ok(())
    }

    fn write_message_secrets<G: traits::GroupId<CURRENT_VERSION>, V: traits::MessageSecrets<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        value: &V,
    ) -> Result<(), RowError> {
        let capturing = {
            let mut state = self.state();
            state.secrets_stale = !state.capturing;
            state.capturing
        };
        if capturing {
            self.store(in_group(label::MESSAGE_SECRETS, group_id), value);
        }
        Ok(())
    }

    fn message_secrets<G: traits::GroupId<CURRENT_VERSION>, V: traits::MessageSecrets<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Option<V>, RowError> {
        self.fetch(in_group(label::MESSAGE_SECRETS, group_id))
    }

    fn delete_message_secrets<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::MESSAGE_SECRETS, group_id));
        Ok(())
    }

    fn write_mls_join_config<G: traits::GroupId<CURRENT_VERSION>, V: traits::MlsGroupJoinConfig<CURRENT_VERSION>>(
        &self,
        _: &G,
        _: &V,
    ) -> Result<(), RowError> {
        Ok(())
    }

    fn mls_group_join_config<G: traits::GroupId<CURRENT_VERSION>, V: traits::MlsGroupJoinConfig<CURRENT_VERSION>>(
        &self,
        _: &G,
    ) -> Result<Option<V>, RowError> {
        serde_json::from_slice(profile::join_config_json()).map(Some).map_err(|_| RowError::Decode(u8::MAX))
    }

    fn delete_group_config<G: traits::GroupId<CURRENT_VERSION>>(&self, _: &G) -> Result<(), RowError> {
        Ok(())
    }

    fn append_own_leaf_node<G: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        leaf_node: &V,
    ) -> Result<(), RowError> {
        let key = in_group(label::OWN_LEAF_NODES, group_id)?;
        let mut all: Vec<Vec<u8>> = self.read(&key)?.unwrap_or_default();
        all.push(super::encode(label::OWN_LEAF_NODES, leaf_node)?);
        self.write(key, &all);
        Ok(())
    }

    fn own_leaf_nodes<G: traits::GroupId<CURRENT_VERSION>, V: traits::LeafNode<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Vec<V>, RowError> {
        let all: Vec<Vec<u8>> = self.fetch(in_group(label::OWN_LEAF_NODES, group_id))?.unwrap_or_default();
        all.iter().map(|leaf| super::decode(label::OWN_LEAF_NODES, leaf)).collect()
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<CURRENT_VERSION>>(&self, group_id: &G) -> Result<(), RowError> {
        self.forget(in_group(label::OWN_LEAF_NODES, group_id));
        Ok(())
    }

    fn queue_proposal<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        proposal_ref: &R,
        proposal: &V,
    ) -> Result<(), RowError> {
        let key = in_group(label::PROPOSALS, group_id)?;
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = self.read(&key)?.unwrap_or_default();
        all.push((super::encode(label::PROPOSALS, proposal_ref)?, super::encode(label::PROPOSALS, proposal)?));
        self.write(key, &all);
        Ok(())
    }

    fn queued_proposal_refs<G: traits::GroupId<CURRENT_VERSION>, R: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<Vec<R>, RowError> {
        let all: Vec<(Vec<u8>, Vec<u8>)> = self.fetch(in_group(label::PROPOSALS, group_id))?.unwrap_or_default();
        all.iter().map(|(name, _)| super::decode(label::PROPOSALS, name)).collect()
    }

    fn queued_proposals<
        G: traits::GroupId<CURRENT_VERSION>,
        R: traits::ProposalRef<CURRENT_VERSION>,
        V: traits::QueuedProposal<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
    ) -> Result<Vec<(R, V)>, RowError> {
        let all: Vec<(Vec<u8>, Vec<u8>)> = self.fetch(in_group(label::PROPOSALS, group_id))?.unwrap_or_default();
        all.iter()
            .map(|(name, value)| Ok((super::decode(label::PROPOSALS, name)?, super::decode(label::PROPOSALS, value)?)))
            .collect()
    }

    fn remove_proposal<G: traits::GroupId<CURRENT_VERSION>, R: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        proposal_ref: &R,
    ) -> Result<(), RowError> {
        let key = in_group(label::PROPOSALS, group_id)?;
        let name = super::encode(label::PROPOSALS, proposal_ref)?;
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = self.read(&key)?.unwrap_or_default();
        all.retain(|(queued, _)| *queued != name);
        self.write(key, &all);
        Ok(())
    }

    fn clear_proposal_queue<G: traits::GroupId<CURRENT_VERSION>, R: traits::ProposalRef<CURRENT_VERSION>>(
        &self,
        group_id: &G,
    ) -> Result<(), RowError> {
        self.forget(in_group(label::PROPOSALS, group_id));
        Ok(())
    }

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        epoch: &E,
        leaf_index: u32,
        key_pairs: &[V],
    ) -> Result<(), RowError> {
        self.store(epoch_keys(group_id, epoch, leaf_index), key_pairs);
        Ok(())
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<CURRENT_VERSION>,
        E: traits::EpochKey<CURRENT_VERSION>,
        V: traits::HpkeKeyPair<CURRENT_VERSION>,
    >(
        &self,
        group_id: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<Vec<V>, RowError> {
        Ok(self.fetch(epoch_keys(group_id, epoch, leaf_index))?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<CURRENT_VERSION>, E: traits::EpochKey<CURRENT_VERSION>>(
        &self,
        group_id: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<(), RowError> {
        self.forget(epoch_keys(group_id, epoch, leaf_index));
        Ok(())
    }

    fn write_key_package<K: traits::HashReference<CURRENT_VERSION>, V: traits::KeyPackage<CURRENT_VERSION>>(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(installation_wide(label::KEY_PACKAGE, key), value);
        Ok(())
    }

    fn key_package<K: traits::HashReference<CURRENT_VERSION>, V: traits::KeyPackage<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Result<Option<V>, RowError> {
        self.fetch(installation_wide(label::KEY_PACKAGE, key))
    }

    fn delete_key_package<K: traits::HashReference<CURRENT_VERSION>>(&self, key: &K) -> Result<(), RowError> {
        self.forget(installation_wide(label::KEY_PACKAGE, key));
        Ok(())
    }

    fn write_encryption_key_pair<K: traits::EncryptionKey<CURRENT_VERSION>, V: traits::HpkeKeyPair<CURRENT_VERSION>>(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(installation_wide(label::ENCRYPTION_KEY_PAIR, key), value);
        Ok(())
    }

    fn encryption_key_pair<V: traits::HpkeKeyPair<CURRENT_VERSION>, K: traits::EncryptionKey<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Result<Option<V>, RowError> {
        self.fetch(installation_wide(label::ENCRYPTION_KEY_PAIR, key))
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<CURRENT_VERSION>>(&self, key: &K) -> Result<(), RowError> {
        self.forget(installation_wide(label::ENCRYPTION_KEY_PAIR, key));
        Ok(())
    }

    fn write_signature_key_pair<
        K: traits::SignaturePublicKey<CURRENT_VERSION>,
        V: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(installation_wide(label::SIGNATURE_KEY_PAIR, key), value);
        Ok(())
    }

    fn signature_key_pair<
        K: traits::SignaturePublicKey<CURRENT_VERSION>,
        V: traits::SignatureKeyPair<CURRENT_VERSION>,
    >(
        &self,
        key: &K,
    ) -> Result<Option<V>, RowError> {
        self.fetch(installation_wide(label::SIGNATURE_KEY_PAIR, key))
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Result<(), RowError> {
        self.forget(installation_wide(label::SIGNATURE_KEY_PAIR, key));
        Ok(())
    }

    fn write_psk<K: traits::PskId<CURRENT_VERSION>, V: traits::PskBundle<CURRENT_VERSION>>(
        &self,
        key: &K,
        value: &V,
    ) -> Result<(), RowError> {
        self.store(installation_wide(label::PSK, key), value);
        Ok(())
    }

    fn psk<V: traits::PskBundle<CURRENT_VERSION>, K: traits::PskId<CURRENT_VERSION>>(
        &self,
        key: &K,
    ) -> Result<Option<V>, RowError> {
        self.fetch(installation_wide(label::PSK, key))
    }

    fn delete_psk<K: traits::PskId<CURRENT_VERSION>>(&self, key: &K) -> Result<(), RowError> {
        self.forget(installation_wide(label::PSK, key));
        Ok(())
    }
}
