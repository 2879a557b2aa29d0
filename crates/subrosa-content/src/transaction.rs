//! References to transactions on a chain (client §5.2).

use serde::{Deserialize, Deserializer, Serialize};

/// Names a transaction. JSON on the wire.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionReference {
    /// Family of chains, such as `eip155`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The chain. Some senders write it as a number.
    #[serde(deserialize_with = "text_or_number")]
    pub network_id: String,
    /// Hash of the transaction.
    pub reference: String,
    /// What the sender says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TransactionMetadata>,
}

/// What a sender says about a transaction: not checked against any chain.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionMetadata {
    /// Kind of transaction, such as `transfer`.
    pub transaction_type: String,
    /// Currency.
    pub currency: String,
    /// Amount in units of the currency.
    pub amount: f64,
    /// Decimal places of the currency.
    pub decimals: u32,
    /// Who pays.
    pub from_address: String,
    /// Who is paid.
    pub to_address: String,
}

impl TransactionReference {
    pub(crate) fn fallback(&self) -> String {
        if self.reference.is_empty() {
            return "Crypto transaction".to_owned();
        }
        let hash = &self.reference;
        format!("[Crypto transaction] Use a blockchain explorer to learn more using the transaction hash: {hash}")
    }
}

fn text_or_number<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match Value::deserialize(input)? {
        Value::Text(text) => text,
        Value::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_id_may_be_a_number() {
        let read: TransactionReference = serde_json::from_str(r#"{"networkId":8453,"reference":"r"}"#).unwrap();
        assert_eq!(read.network_id, "8453");
        assert!(serde_json::from_str::<TransactionReference>(r#"{"networkId":[],"reference":"r"}"#).is_err());
    }
}
