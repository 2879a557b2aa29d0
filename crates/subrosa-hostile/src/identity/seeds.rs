//! Beginnings for the identity targets: recorded signatures, and scripts of what inboxes do.

use subrosa_identity::{IdentityAction, IdentityUpdate, LegacyWalletSignature, UnverifiedSignature};

use super::script::MARK;
use crate::parts::join;

/// Every signature of these updates as input for `identity_signature`, and one real signature of each signer.
pub(crate) fn signatures(updates: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for update in updates.iter().filter_map(|bytes| IdentityUpdate::from_bytes(bytes).ok()) {
        let text = update.signature_text();
        let signatures = update.actions().iter().flat_map(IdentityAction::signatures);
        seeds.extend(signatures.filter_map(|signature| parts(signature, &text)));
    }
    for who in 0..16 {
        seeds.push(join([&[5, who][..], b"text"]));
        seeds.push(join([&[5, who, 0, 3, 1][..], b"text"]));
    }
    let client_data: [&[u8]; 4] = [
        br#"{"type":"webauthn.get","challenge":"%","origin":"https://o","crossOrigin":false}"#,
        br#"["https://o","%"]"#,
        br#" {"\u006frigin":"\ud83d\ude00", "x":[{}], "challenge":"%"} "#,
        br#"{"origin":"","origin":"","challenge":"%"}"#,
    ];
    seeds.extend(client_data.iter().map(|json| join([&[5, 0x87][..], b"text", &[0; 37], json])));
    seeds
}

/// The kind and the fields, as the target reads them.
fn parts(signature: &UnverifiedSignature, text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    Some(match signature {
        UnverifiedSignature::Erc191(bytes) => join([&[0][..], text, bytes]),
        UnverifiedSignature::ContractWallet { account_id, block_number, signature } => {
            let block = block_number.unwrap_or_default().to_be_bytes();
            join([&[1][..], text, account_id.as_str().as_bytes(), signature, &block])
        }
        UnverifiedSignature::Installation(made) => {
            join([&[2][..], text, made.installation().as_bytes().as_slice(), made.bytes()])
        }
        UnverifiedSignature::LegacyDelegated(made) => {
            let (bytes, recovery, form) = match made.wallet_signature.as_ref()? {
                LegacyWalletSignature::EcdsaCompact { bytes, recovery } => (bytes, recovery, 0),
                LegacyWalletSignature::WalletEcdsaCompact { bytes, recovery } => (bytes, recovery, 0x40),
            };
            let how = [&recovery.to_be_bytes()[..], &[form]].concat();
            join([&[3][..], text, &made.key_bytes, &made.signature, bytes, &how])
        }
        UnverifiedSignature::Passkey(made) => {
            let client_data = &made.client_data_json;
            join([&[4][..], text, &made.public_key, &made.signature, &made.authenticator_data, client_data])
        }
        _ => return None,
    })
}

/// Updates of an inbox that signer 0 creates with nonce 0, one second apart: registered with installation 3, then
/// joined by account, passkey and contract, revoked, handed on.
const INBOX: [&[[u8; 3]]; 9] = [
    &[[0, 0x00, 0], [1, 0x03, 0]],
    &[[1, 0x31, 0], [1, 0x17, 0], [1, 0x74, 0]],
    &[[1, 0x0d, 0], [1, 0xd5, 0]],
    &[[2, 0x04, 0], [2, 0x01, 0]],
    &[[3, 0x07, 0]],
    &[[2, 0x70, 0], [1, 0x70, 0]],
    &[[1, 0x0e, 0], [1, 0x78, 0], [1, 0x8a, 0]],
    &[[3, 0x70, 0], [1, 0x06, 0]],
    &[],
];

/// The same with a legacy key, with a contract, and with a passkey as creator.
const CREATORS: [(u8, [u8; 3]); 3] = [(0, [0, 0x00, 10]), (0x1d, [4, 0x0d, 0]), (0x17, [4, 0x07, 0])];

fn script(inbox: u8, seconds: u8, bends: &[[u8; 3]], actions: &[[u8; 3]]) -> Vec<u8> {
    let head = [MARK, inbox, seconds, u8::try_from(bends.len()).unwrap_or(0)];
    [&head[..], bends.as_flattened(), actions.as_flattened()].concat()
}

/// Scripts of single updates.
pub(crate) fn updates() -> Vec<Vec<u8>> {
    let creations = CREATORS.iter().map(|(inbox, create)| script(*inbox, 0, &[], &[*create]));
    let all: Vec<[u8; 3]> = INBOX.concat();
    let whole = script(0, 0, &[], &all[..8]);
    let bent = script(0, 0, &[[0, 40, 1]], INBOX[0]);
    creations.chain([whole, bent]).collect()
}

/// Scripts of logs.
pub(crate) fn logs() -> Vec<Vec<u8>> {
    let all: Vec<Vec<u8>> = (0..).zip(INBOX).map(|(second, actions)| script(0, second, &[], actions)).collect();
    let log = |updates: &[Vec<u8>]| join(updates.iter().map(Vec::as_slice));
    let mut seeds: Vec<Vec<u8>> = (1..=all.len()).map(|length| log(&all[..length])).collect();
    // A replay, and one bent entry among good ones.
    seeds.push(log(&[all[0].clone(), all[1].clone(), all[1].clone()]));
    seeds.push(log(&[all[0].clone(), script(0, 1, &[[0, 90, 4]], INBOX[1]), all[2].clone()]));
    for (inbox, create) in CREATORS {
        let owner = create[1] & 15;
        let later = [[1, owner << 4 | 3, 0], [1, owner << 4 | 10, 0], [2, owner << 4 | 3, 0]];
        seeds.push(log(&[script(inbox, 0, &[], &[create]), script(inbox, 1, &[], &later)]));
    }
    seeds
}
