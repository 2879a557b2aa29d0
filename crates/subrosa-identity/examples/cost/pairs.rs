//! What is compared with what.

use std::{collections::BTreeSet, hint::black_box};

use p256::ecdsa::signature::Verifier as _;
use prost::Message as _;
use sha2::{Digest as _, Sha256, Sha512};
use sha3::Keccak256;
use subrosa_identity::{
    AssociationState, ChainVerdicts, IdentityAction, IdentityUpdate, InboxLog, LegacyDelegatedSignature,
    LegacyWalletSignature, PasskeySignature, SignatureRequest, UnverifiedSignature, Verdict, VerifiedUpdate,
    eip191_hash, inbox_id,
};
use subrosa_proto::xmtp::message_contents::{UnsignedPublicKey, unsigned_public_key};
use subrosa_types::{SequenceId, UnixNanos, hex};

use crate::log::{assertion, installation, log, passkey, wallet};

/// Something the library does, and the bare cryptography in it: what the library adds is what the ratio has above 1.
pub(crate) struct Pair {
    /// Its name, in the results and on the command line.
    pub(crate) name: &'static str,
    /// What the library does.
    pub(crate) ours: Work,
    /// What it cannot do without.
    pub(crate) bare: Work,
}

type Work = Box<dyn FnMut()>;

/// The names of all pairs.
pub(crate) const NAMES: [&str; 7] =
    ["erc191", "installation", "passkey", "legacy", "contract wallet", "inbox log", "replay"];

/// The pair of this name.
pub(crate) fn pair(name: &'static str) -> Pair {
    let text = text();
    let signature = match name {
        "erc191" => UnverifiedSignature::Erc191(wallet(1).sign(&text).to_vec()),
        "installation" => UnverifiedSignature::by_installation(&installation(1), &text),
        "passkey" => UnverifiedSignature::Passkey(Box::new(assertion(&passkey(1), &text))),
        "legacy" => legacy(&text),
        "contract wallet" => {
            UnverifiedSignature::contract_wallet(1, &wallet(2).address(), vec![1; 65], Some(1)).unwrap()
        }
        _ => return of_log(name),
    };
    of_signature(name, signature, &text)
}

/// A text of usual length: an installation is added.
fn text() -> String {
    let owner = wallet(0).identifier();
    let builder = SignatureRequest::builder(inbox_id(&owner, 1).unwrap(), UnixNanos::EPOCH);
    builder.add_association(installation(1).id(), &owner).request().text().to_owned()
}

fn of_signature(name: &'static str, signature: UnverifiedSignature, text: &str) -> Pair {
    let verdicts: ChainVerdicts =
        signature.chain_check(text).into_iter().map(|check| (check, Verdict::Valid)).collect();
    let bare = bare(&signature, text);
    let text = text.to_owned();
    Pair { name, ours: Box::new(move || drop(black_box(signature.verify(black_box(&text), &verdicts)).unwrap())), bare }
}

/// A log from its bytes to its last state, and the bare verification of each of its signatures once.
fn of_log(name: &'static str) -> Pair {
    let log = log();
    let bare = bare_log(&log);
    let inbox = log[0].inbox_id_text().parse().unwrap();
    let bytes: Vec<Vec<u8>> = log.iter().map(IdentityUpdate::to_bytes).collect();
    let verified = |bytes: &Vec<u8>| -> VerifiedUpdate {
        IdentityUpdate::from_bytes(black_box(bytes)).unwrap().verify(&ChainVerdicts::none()).unwrap()
    };
    let ours: Work = if name == "inbox log" {
        Box::new(move || {
            let mut log = InboxLog::new(inbox);
            for (bytes, sequence) in bytes.iter().zip(1..) {
                log.push(SequenceId(sequence), &verified(bytes)).unwrap();
            }
            black_box(log.latest()).unwrap();
        })
    } else {
        Box::new(move || {
            let updates: Vec<VerifiedUpdate> = bytes.iter().map(verified).collect();
            black_box(AssociationState::replay(None, &updates)).unwrap();
        })
    };
    Pair { name, ours, bare }
}

fn bare_log(log: &[IdentityUpdate]) -> Work {
    let mut all = Vec::new();
    for update in log {
        let text = update.signature_text();
        let mut known = BTreeSet::new();
        for signature in update.actions().iter().flat_map(IdentityAction::signatures) {
            if known.insert(format!("{signature:?}")) {
                all.push(bare(signature, &text));
            }
        }
    }
    Box::new(move || all.iter_mut().for_each(|work| work()))
}

/// What the curve's crate does for a signature whose text is hashed and whose encoding is taken apart already; of a
/// passkey the key is decompressed too. A contract wallet needs no curve: the hash that its chain was asked about is left.
fn bare(signature: &UnverifiedSignature, text: &str) -> Work {
    let hash = eip191_hash(text);
    match signature {
        UnverifiedSignature::Erc191(bytes) => recover(hash, bytes),
        UnverifiedSignature::LegacyDelegated(made) => {
            let Some(LegacyWalletSignature::WalletEcdsaCompact { bytes, recovery }) = &made.wallet_signature else {
                panic!("made below")
            };
            let by_wallet = [&bytes[..], &recovery.to_le_bytes()[..1]].concat();
            let (mut first, mut second) =
                (recover(hash, &made.signature), recover(eip191_hash(&create_identity(&made.key_bytes)), &by_wallet));
            Box::new(move || {
                first();
                second();
            })
        }
        UnverifiedSignature::Installation(made) => {
            let key = ed25519_dalek::VerifyingKey::from_bytes(made.installation().as_bytes()).unwrap();
            let signature = ed25519_dalek::Signature::from_slice(made.bytes()).unwrap();
            let prehash = Sha512::new().chain_update(text);
            Box::new(move || {
                let prehash = black_box(&prehash).clone();
                key.verify_prehashed(prehash, Some(b"IDENTITY UPDATE SIGNATURE"), &signature).unwrap();
            })
        }
        UnverifiedSignature::Passkey(made) => bare_passkey(made),
        _ => {
            let message = format!("\x19Ethereum Signed Message:\n{}{text}", text.len());
            Box::new(move || {
                black_box(Keccak256::digest(black_box(&message)));
            })
        }
    }
}

fn recover(hash: [u8; 32], bytes: &[u8]) -> Work {
    let signature = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
    let id = k256::ecdsa::RecoveryId::from_byte(bytes[64] - 27).unwrap();
    Box::new(move || {
        black_box(k256::ecdsa::VerifyingKey::recover_from_prehash(black_box(&hash), &signature, id)).unwrap();
    })
}

fn bare_passkey(made: &PasskeySignature) -> Work {
    let signed = [&made.authenticator_data[..], &Sha256::digest(&made.client_data_json)].concat();
    let signature = p256::ecdsa::Signature::from_der(&made.signature).unwrap();
    let key = made.public_key.clone();
    Box::new(move || {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(black_box(&key)).unwrap();
        key.verify(&signed, &signature).unwrap();
    })
}

fn legacy(text: &str) -> UnverifiedSignature {
    let secret = k256::ecdsa::SigningKey::from_slice(&*wallet(4).to_bytes()).unwrap();
    let point = secret.verifying_key().to_encoded_point(false).as_bytes().to_vec();
    let key = unsigned_public_key::Secp256k1Uncompressed { bytes: point };
    let union = Some(unsigned_public_key::Union::Secp256k1Uncompressed(key));
    let key_bytes = UnsignedPublicKey { created_ns: 1, union }.encode_to_vec();
    let by_wallet = wallet(3).sign(&create_identity(&key_bytes));
    UnverifiedSignature::LegacyDelegated(Box::new(LegacyDelegatedSignature {
        wallet_signature: Some(LegacyWalletSignature::WalletEcdsaCompact {
            bytes: by_wallet[..64].to_vec(),
            recovery: u32::from(by_wallet[64]),
        }),
        signature: wallet(4).sign(text).to_vec(),
        key_bytes,
    }))
}

fn create_identity(key_bytes: &[u8]) -> String {
    format!("XMTP : Create Identity\n{}\n\nFor more info: https://xmtp.org/signatures/", hex::encode(key_bytes))
}
