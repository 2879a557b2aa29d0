//! What a push server has to know (client §11).

use subrosa_envelope::hmac::{HmacKey, group_key, hmac_epoch};
use subrosa_store::ConversationFilter;
use subrosa_types::{GroupId, Topic};

use crate::{client::Client, error::SyncError};

/// By which our own messages in one group are recognised, so that nobody is notified of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HmacKeys {
    /// The group.
    pub group: GroupId,
    /// The topic its messages are published on.
    pub topic: String,
    /// Keys of the previous, the present and the next period of 30 days, each with its number.
    pub keys: Vec<(i64, HmacKey)>,
}

impl Client {
    /// The keys of all conversations, direct messages with the same inbox each for itself. Renew them within 30 days.
    ///
    /// # Errors
    /// [`SyncError`] when the database failed.
    pub fn hmac_keys(&self) -> Result<Vec<HmacKeys>, SyncError> {
        let epoch = hmac_epoch(self.inner.now());
        let records = self.inner.store.conversations(&ConversationFilter::default())?;
        let keys_of = |group: GroupId| {
            let root = &self.inner.me.hmac_root;
            let keys = (epoch - 1..=epoch + 1).map(|epoch| (epoch, group_key(root, &group, epoch))).collect();
            let topic = Topic::Group(group.clone()).to_text().unwrap_or_default();
            HmacKeys { group, topic, keys }
        };
        Ok(records.into_iter().map(|record| keys_of(record.id)).collect())
    }

    /// The topic that welcomes to this installation are published on.
    #[must_use]
    pub fn welcome_topic(&self) -> String {
        Topic::Welcomes(self.installation_id()).to_text().unwrap_or_default()
    }
}
