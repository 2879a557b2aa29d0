//! Between our types and the protobuf messages (identity §3).

use subrosa_proto::xmtp::{identity::associations as proto, message_contents as legacy};

use crate::{
    AccountId, AccountIdError, DecodeError, Identifier, IdentityAction, IdentityUpdate, InstallationSignature,
    LegacyDelegatedSignature, LegacyWalletSignature, MemberIdentifier, Passkey, PasskeySignature, UnverifiedSignature,
    identifier::passkey_key,
};

/// Number of the enumeration value for passkeys. Every other number is read as Ethereum (identity §3.2).
const KIND_PASSKEY: i32 = proto::IdentifierKind::Passkey as i32;

impl IdentityUpdate {
    /// Reads the message.
    ///
    /// # Errors
    /// [`DecodeError`], never [`DecodeError::Malformed`].
    pub fn from_proto(update: proto::IdentityUpdate) -> Result<Self, DecodeError> {
        let actions = update.actions.into_iter().map(action_from_proto).collect::<Result<_, _>>()?;
        Ok(Self::new(update.inbox_id, update.client_timestamp_ns, actions))
    }

    /// Makes the message.
    #[must_use]
    pub fn to_proto(&self) -> proto::IdentityUpdate {
        proto::IdentityUpdate {
            actions: self.actions().iter().map(action_to_proto).collect(),
            client_timestamp_ns: self.client_timestamp_ns(),
            inbox_id: self.inbox_id_text().to_owned(),
        }
    }
}

impl MemberIdentifier {
    /// Reads the message. Nothing is normalised or checked (identity §2.2).
    ///
    /// # Errors
    /// [`DecodeError::MissingField`] for a kind that is absent or unknown.
    pub fn from_proto(member: proto::MemberIdentifier) -> Result<Self, DecodeError> {
        Ok(match member.kind.ok_or(DecodeError::MissingField("member_identifier"))? {
            proto::member_identifier::Kind::EthereumAddress(address) => Self::Ethereum(address),
            proto::member_identifier::Kind::InstallationPublicKey(key) => Self::Installation(key),
            proto::member_identifier::Kind::Passkey(passkey) => {
                Self::Passkey(Passkey { key: passkey.key, relying_party: passkey.relying_party })
            }
        })
    }

    /// Makes the message.
    #[must_use]
    pub fn to_proto(&self) -> proto::MemberIdentifier {
        let kind = match self {
            Self::Ethereum(address) => proto::member_identifier::Kind::EthereumAddress(address.clone()),
            Self::Installation(key) => proto::member_identifier::Kind::InstallationPublicKey(key.clone()),
            Self::Passkey(passkey) => proto::member_identifier::Kind::Passkey(proto::Passkey {
                key: passkey.key.clone(),
                relying_party: passkey.relying_party.clone(),
            }),
        };
        proto::MemberIdentifier { kind: Some(kind) }
    }
}

/// Text, kind and relying party, as the messages carry an identifier.
pub(crate) type IdentifierParts = (String, i32, Option<String>);

impl Identifier {
    pub(crate) fn from_parts(parts: IdentifierParts) -> Result<Self, DecodeError> {
        let (text, kind, relying_party) = parts;
        if kind != KIND_PASSKEY {
            return Ok(Self::Ethereum(text));
        }
        let key = passkey_key(&text).ok_or(DecodeError::PasskeyIdentifierHex)?;
        Ok(Self::Passkey(Passkey { key, relying_party }))
    }

    pub(crate) fn to_parts(&self) -> IdentifierParts {
        match self {
            Self::Ethereum(address) => (address.clone(), proto::IdentifierKind::Ethereum as i32, None),
            Self::Passkey(passkey) => (self.text(), KIND_PASSKEY, passkey.relying_party.clone()),
        }
    }
}

fn action_from_proto(action: proto::IdentityAction) -> Result<IdentityAction, DecodeError> {
    use proto::identity_action::Kind;
    Ok(match action.kind.ok_or(DecodeError::MissingField("action"))? {
        Kind::CreateInbox(create) => IdentityAction::CreateInbox {
            identifier: Identifier::from_parts((
                create.initial_identifier,
                create.initial_identifier_kind,
                create.relying_party,
            ))?,
            nonce: create.nonce,
            signature: required_signature(create.initial_identifier_signature)?,
        },
        Kind::Add(add) => IdentityAction::AddAssociation {
            new_member: required_member(add.new_member_identifier, "member_identifier")?,
            existing_member_signature: required_signature(add.existing_member_signature)?,
            new_member_signature: required_signature(add.new_member_signature)?,
        },
        Kind::Revoke(revoke) => IdentityAction::RevokeAssociation {
            member: required_member(revoke.member_to_revoke, "member_to_revoke")?,
            signature: required_signature(revoke.recovery_identifier_signature)?,
        },
        Kind::ChangeRecoveryAddress(change) => IdentityAction::ChangeRecovery {
            new_identifier: Identifier::from_parts((
                change.new_recovery_identifier,
                change.new_recovery_identifier_kind,
                change.relying_party,
            ))?,
            signature: required_signature(change.existing_recovery_identifier_signature)?,
        },
    })
}

fn action_to_proto(action: &IdentityAction) -> proto::IdentityAction {
    use proto::identity_action::Kind;
    let kind = match action {
        IdentityAction::CreateInbox { identifier, nonce, signature } => {
            let (initial_identifier, initial_identifier_kind, relying_party) = identifier.to_parts();
            Kind::CreateInbox(proto::CreateInbox {
                initial_identifier,
                nonce: *nonce,
                initial_identifier_signature: Some(signature_to_proto(signature)),
                initial_identifier_kind,
                relying_party,
            })
        }
        IdentityAction::AddAssociation { new_member, existing_member_signature, new_member_signature } => {
            Kind::Add(proto::AddAssociation {
                new_member_identifier: Some(new_member.to_proto()),
                existing_member_signature: Some(signature_to_proto(existing_member_signature)),
                new_member_signature: Some(signature_to_proto(new_member_signature)),
                relying_party: match new_member {
                    MemberIdentifier::Passkey(passkey) => passkey.relying_party.clone(),
                    MemberIdentifier::Ethereum(_) | MemberIdentifier::Installation(_) => None,
                },
            })
        }
        IdentityAction::RevokeAssociation { member, signature } => Kind::Revoke(proto::RevokeAssociation {
            member_to_revoke: Some(member.to_proto()),
            recovery_identifier_signature: Some(signature_to_proto(signature)),
        }),
        IdentityAction::ChangeRecovery { new_identifier, signature } => {
            let (new_recovery_identifier, new_recovery_identifier_kind, relying_party) = new_identifier.to_parts();
            Kind::ChangeRecoveryAddress(proto::ChangeRecoveryAddress {
                new_recovery_identifier,
                existing_recovery_identifier_signature: Some(signature_to_proto(signature)),
                new_recovery_identifier_kind,
                relying_party,
            })
        }
    };
    proto::IdentityAction { kind: Some(kind) }
}

fn required_member(
    member: Option<proto::MemberIdentifier>,
    field: &'static str,
) -> Result<MemberIdentifier, DecodeError> {
    MemberIdentifier::from_proto(member.ok_or(DecodeError::MissingField(field))?)
}

fn required_signature(signature: Option<proto::Signature>) -> Result<UnverifiedSignature, DecodeError> {
    use proto::signature::Signature;
    let signature = signature.and_then(|s| s.signature).ok_or(DecodeError::MissingField("signature"))?;
    Ok(match signature {
        Signature::Erc191(signature) => UnverifiedSignature::Erc191(signature.bytes),
        Signature::Erc6492(signature) => UnverifiedSignature::ContractWallet {
            account_id: AccountId::parse(&signature.account_id).map_err(|error| match error {
                AccountIdError::Parts => DecodeError::AccountIdParts,
                _ => DecodeError::AccountIdSyntax,
            })?,
            block_number: Some(signature.block_number),
            signature: signature.signature,
        },
        Signature::InstallationKey(signature) => UnverifiedSignature::Installation(Box::new(
            InstallationSignature::new(&signature.public_key, signature.bytes)?,
        )),
        Signature::DelegatedErc191(signature) => {
            UnverifiedSignature::LegacyDelegated(Box::new(legacy_from_proto(signature)?))
        }
        Signature::Passkey(signature) => UnverifiedSignature::Passkey(Box::new(PasskeySignature {
            public_key: signature.public_key,
            signature: signature.signature,
            authenticator_data: signature.authenticator_data,
            client_data_json: signature.client_data_json,
        })),
    })
}

fn signature_to_proto(signature: &UnverifiedSignature) -> proto::Signature {
    use proto::signature::Signature;
    let signature = match signature {
        UnverifiedSignature::Erc191(bytes) => {
            Signature::Erc191(proto::RecoverableEcdsaSignature { bytes: bytes.clone() })
        }
        UnverifiedSignature::ContractWallet { account_id, block_number, signature } => {
            Signature::Erc6492(proto::SmartContractWalletSignature {
                account_id: account_id.as_str().to_owned(),
                block_number: block_number.unwrap_or_default(),
                signature: signature.clone(),
            })
        }
        UnverifiedSignature::Installation(signature) => {
            Signature::InstallationKey(proto::RecoverableEd25519Signature {
                bytes: signature.bytes().to_vec(),
                public_key: signature.installation().as_bytes().to_vec(),
            })
        }
        UnverifiedSignature::LegacyDelegated(signature) => Signature::DelegatedErc191(legacy_to_proto(signature)),
        UnverifiedSignature::Passkey(signature) => Signature::Passkey(proto::RecoverablePasskeySignature {
            public_key: signature.public_key.clone(),
            signature: signature.signature.clone(),
            authenticator_data: signature.authenticator_data.clone(),
            client_data_json: signature.client_data_json.clone(),
        }),
    };
    proto::Signature { signature: Some(signature) }
}

fn legacy_from_proto(signature: proto::LegacyDelegatedSignature) -> Result<LegacyDelegatedSignature, DecodeError> {
    use legacy::signature::Union;
    let key = signature.delegated_key.ok_or(DecodeError::MissingField("delegated_key"))?;
    let own = signature.signature.ok_or(DecodeError::MissingField("signature"))?;
    let wallet_signature = key.signature.and_then(|s| s.union).map(|union| match union {
        Union::EcdsaCompact(s) => LegacyWalletSignature::EcdsaCompact { bytes: s.bytes, recovery: s.recovery },
        Union::WalletEcdsaCompact(s) => {
            LegacyWalletSignature::WalletEcdsaCompact { bytes: s.bytes, recovery: s.recovery }
        }
    });
    Ok(LegacyDelegatedSignature { key_bytes: key.key_bytes, wallet_signature, signature: own.bytes })
}

fn legacy_to_proto(signature: &LegacyDelegatedSignature) -> proto::LegacyDelegatedSignature {
    use legacy::signature::{EcdsaCompact, Union, WalletEcdsaCompact};
    let wallet_signature = signature.wallet_signature.as_ref().map(|wallet| {
        let union = match wallet.clone() {
            LegacyWalletSignature::EcdsaCompact { bytes, recovery } => {
                Union::EcdsaCompact(EcdsaCompact { bytes, recovery })
            }
            LegacyWalletSignature::WalletEcdsaCompact { bytes, recovery } => {
                Union::WalletEcdsaCompact(WalletEcdsaCompact { bytes, recovery })
            }
        };
        legacy::Signature { union: Some(union) }
    });
    proto::LegacyDelegatedSignature {
        delegated_key: Some(legacy::SignedPublicKey {
            key_bytes: signature.key_bytes.clone(),
            signature: wallet_signature,
        }),
        signature: Some(proto::RecoverableEcdsaSignature { bytes: signature.signature.clone() }),
    }
}
