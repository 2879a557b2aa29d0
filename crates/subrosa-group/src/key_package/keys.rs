//! Storage and lookup of a key package's private keys (groups §1.5, §1.6).
//!
//! ```text
//! label             key                          value
//! WRAPPER_KEY       SHA-256 of a public key      hash reference of the package
//! X_WING_SEED       hash reference               seed and the two lookup keys
//! KEY_PACKAGE       hash reference               the MLS library's bundle
//! ```

use openmls::{key_packages::KeyPackageBundle, prelude::KeyPackageRef};
use openmls_traits::OpenMlsProvider as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    hpke,
    provider::Provider,
    random::Randomness,
    rows::{self, RowChanges, RowError, RowKey, Rows, label},
};

#[derive(Deserialize, Serialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct OwnerKeys {
    /// Absent for a package without post-quantum wrapper.
    pub(crate) x_wing_seed: Option<[u8; 32]>,
    lookups: Vec<Vec<u8>>,
}

fn row(label: u8, key: Vec<u8>) -> RowKey {
    RowKey { scope: Vec::new(), label, key }
}

/// Row key of an object named by its hash reference; the same key that the MLS library's storage trait makes.
fn by_reference(label: u8, hash_ref: &[u8]) -> Result<RowKey, RowError> {
    Ok(row(label, postcard::to_allocvec(hash_ref).map_err(|_| RowError::Encode(label))?))
}

/// The row that says which key package a public key belongs to. `public_key` is what a welcome names: 32 bytes of an
/// init key or 1216 bytes of an X-Wing key (groups §6.2).
#[must_use]
pub fn wrapper_row(public_key: &[u8]) -> RowKey {
    row(label::WRAPPER_KEY, Sha256::digest(public_key).to_vec())
}

/// The rows of one key package's private keys. `lookup` is the value stored under [`wrapper_row`].
///
/// # Errors
/// [`RowError`] when `lookup` is not such a value.
pub fn key_package_rows(lookup: &[u8]) -> Result<[RowKey; 2], RowError> {
    rows_of(&reference(lookup)?)
}

/// The rows of the key package with this hash reference.
pub(crate) fn rows_of(hash_ref: &[u8]) -> Result<[RowKey; 2], RowError> {
    Ok([by_reference(label::KEY_PACKAGE, hash_ref)?, by_reference(label::X_WING_SEED, hash_ref)?])
}

pub(crate) fn reference(lookup: &[u8]) -> Result<Vec<u8>, RowError> {
    rows::decode(label::WRAPPER_KEY, lookup)
}

/// What deletes a key package whose time has come (groups §1.6). `hash_ref` is the one it was made with;
/// `stored` yields the value stored under a row key.
///
/// # Errors
/// [`RowError`] when the stored keys cannot be read.
pub fn delete_key_package(
    hash_ref: &[u8],
    stored: impl FnOnce(&RowKey) -> Option<Vec<u8>>,
) -> Result<RowChanges, RowError> {
    let [bundle, owner] = rows_of(hash_ref)?;
    let mut delete = vec![bundle];
    if let Some(value) = stored(&owner) {
        let keys: OwnerKeys = rows::decode(label::X_WING_SEED, &Zeroizing::new(value))?;
        delete.extend(keys.lookups.iter().map(|lookup| row(label::WRAPPER_KEY, lookup.clone())));
    }
    delete.push(owner);
    Ok(RowChanges { delete, ..RowChanges::default() })
}

/// Writes lookup rows and the X-Wing seed beside the bundle that the MLS library wrote.
pub(crate) fn store(
    rows: &Rows,
    hash_ref: &KeyPackageRef,
    init_key: &[u8],
    x_wing: Option<(&[u8], &Zeroizing<[u8; 32]>)>,
) -> Result<(), RowError> {
    let hash_ref = hash_ref.as_slice();
    let mut lookups = Vec::new();
    for public_key in std::iter::once(init_key).chain(x_wing.map(|(public_key, _)| public_key)) {
        let lookup = wrapper_row(public_key);
        lookups.push(lookup.key.clone());
        rows.write(lookup, hash_ref);
    }
    let [_, owner] = rows_of(hash_ref)?;
    rows.write(owner, &OwnerKeys { x_wing_seed: x_wing.map(|(_, seed)| **seed), lookups });
    Ok(())
}

/// Rows of a key package that was recorded elsewhere: its bundle in the MLS library's serde form and the seed of its
/// X-Wing key. For replaying recordings.
///
/// # Errors
/// [`RowError`] when the bundle is none.
#[doc(hidden)]
pub fn import_key_package(bundle_json: &str, x_wing_seed: Option<[u8; 32]>) -> Result<RowChanges, RowError> {
    let failed = RowError::Decode(label::KEY_PACKAGE);
    let bundle: KeyPackageBundle = serde_json::from_str(bundle_json).map_err(|_| failed)?;
    let provider = Provider::new(Rows::over([]), Randomness::os());
    let hash_ref = bundle.key_package().hash_ref(provider.crypto()).map_err(|_| failed)?;
    let seed = x_wing_seed.map(Zeroizing::new);
    let public = seed.as_ref().map(|seed| hpke::x_wing_public_key(seed)).transpose().map_err(|_| failed)?;
    let x_wing = public.as_deref().zip(seed.as_ref());
    store(provider.rows(), &hash_ref, bundle.key_package().hpke_init_key().as_slice(), x_wing)?;
    let [row, _] = rows_of(hash_ref.as_slice())?;
    provider.rows().write(row, &bundle);
    provider.rows().drain()
}
