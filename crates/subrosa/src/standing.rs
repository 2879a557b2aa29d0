//! Our own standing in a group, and what others may do (client §3.2, §3.3).

use subrosa_content::{Content, LeaveRequest};
use subrosa_sync::{ConversationKind, IntentData, MembershipState, PolicyOption, PolicyTarget};

use crate::{conversation::Conversation, error::ChangeError};

impl Conversation {
    /// Asks to be removed from the group. We stay a member until a super admin's client has done so, which it does by
    /// itself. Asking again changes nothing (groups §4.7).
    ///
    /// # Errors
    /// [`ChangeError::NotInDm`]; [`ChangeError::CannotLeave`] for a super admin, who has to be demoted first, and for
    /// the only member; otherwise as for any message.
    pub async fn leave(&self) -> Result<(), ChangeError> {
        let record = self.record()?;
        let own = self.inner.me.inbox;
        if record.kind == ConversationKind::Dm {
            return Err(ChangeError::NotInDm);
        }
        if !record.active {
            return Err(ChangeError::Inactive);
        }
        if record.super_admins.contains(&own.to_hex()) || record.members.len() < 2 {
            return Err(ChangeError::CannotLeave);
        }
        if record.membership == MembershipState::PendingRemove {
            return Ok(());
        }
        self.send(&Content::LeaveRequest(LeaveRequest::default())).await?;
        Ok(())
    }

    /// Changes who may do something; for super admins only (groups §4.5).
    ///
    /// # Errors
    /// [`ChangeError`]; [`ChangeError::NotInDm`] in a direct message.
    pub async fn set_policy(&self, policy: PolicyTarget, option: PolicyOption) -> Result<(), ChangeError> {
        if self.kind()? == ConversationKind::Dm {
            return Err(ChangeError::NotInDm);
        }
        let intent = self.inner.queue(&self.id, IntentData::Permission { policy, option }, false, None).await?;
        self.inner.wait_for(&self.id, intent).await
    }
}
