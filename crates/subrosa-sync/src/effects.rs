//! What processed envelopes leave behind: messages, transcripts, roster changes.

use std::time::Duration;

use subrosa_content::{Content, EncodedContent, PlaintextEnvelope, message_id, transcript_key};
use subrosa_envelope::{CommitResult, GroupMessage};
use subrosa_group::{
    Directory,
    context::attribute,
    group::{ApplicationMessage, CommitReport},
};
use subrosa_intent::{IntentEvent, IntentState};
use subrosa_types::{InboxId, InstallationId, UnixNanos};

use crate::{
    change::{Change, Event},
    data::IntentData,
    machine::{Logged, Machine, MachineError},
    model::{Delivery, Intent, IntentId, MembershipState, Message, MessageKind},
    transcript,
};

impl Machine {
    /// An application message of another member (sync §2.9.2). One without a usable payload, or whose sender does
    /// not hold the installation it speaks through, leaves nothing but the cursor.
    pub(crate) fn application(
        &mut self,
        message: &GroupMessage,
        application: ApplicationMessage,
        directory: &Directory,
        now: UnixNanos,
    ) {
        if !self.speaks_for(&application.sender.inbox, &application.sender.installation, directory) {
            return;
        }
        let Ok(PlaintextEnvelope::V1 { content, idempotency_key }) =
            PlaintextEnvelope::from_bytes(&application.plaintext)
        else {
            return;
        };
        let id = message_id(&self.record.id, &idempotency_key, &content);
        self.side_effects(&content, application.sender.inbox, id);
        self.store(Message {
            id,
            group: self.record.id.clone(),
            sent_at: message.created,
            kind: MessageKind::Application,
            sender: application.sender.inbox,
            installation: application.sender.installation,
            delivery: Delivery::Published,
            content,
            position: Some(message.cursor()),
            expires_at: self.expiry(now),
            inserted_at: now,
        });
    }

    /// Whether the installation belongs to the inbox it speaks for (groups §7.3). The membership names a position in
    /// the inbox log; when the log is shorter than that, its newest state decides.
    fn speaks_for(&self, inbox: &InboxId, installation: &InstallationId, directory: &Directory) -> bool {
        let Some(log) = directory.log(inbox) else { return false };
        let Some(position) = self.record.members.get(inbox) else { return false };
        let state = log.state_at(*position).ok().or_else(|| log.latest().ok());
        state.is_some_and(|state| state.has_installation(installation))
    }

    /// Our own message came back: it has the network's time now (sync §2.9.1).
    pub(crate) fn own_message(
        &mut self,
        message: &GroupMessage,
        id: IntentId,
        now: UnixNanos,
    ) -> Result<(), MachineError> {
        let stored = self.intents.get(&id).and_then(|intent| intent.new.message);
        if let Some(stored) = stored {
            self.push(Change::Delivered {
                id: stored,
                at: message.created,
                position: message.cursor(),
                expires_at: self.expiry(now),
            });
            self.tell(Event::Delivered { group: self.record.id.clone(), message: stored });
            if let Some(content) = self.content_of(id) {
                self.side_effects(&content, self.me.inbox, stored);
            }
        }
        self.move_intent(id, &[IntentEvent::TookEffect, IntentEvent::PostCommitDone], None, Some(message.cursor()))?;
        self.advance(message.cursor());
        Ok(())
    }

    /// The content that an intent of ours sends.
    fn content_of(&self, id: IntentId) -> Option<Vec<u8>> {
        let new = &self.intents.get(&id)?.new;
        let IntentData::SendMessage(plaintext) = IntentData::from_bytes(new.kind, &new.data).ok()? else { return None };
        match PlaintextEnvelope::from_bytes(&plaintext).ok()? {
            PlaintextEnvelope::V1 { content, .. } => Some(content),
            _ => None,
        }
    }

    /// When a message stored now disappears (groups §7.5).
    fn expiry(&self, now: UnixNanos) -> Option<UnixNanos> {
        let setting = |key: &str| self.record.attributes.get(key)?.parse::<i64>().ok().filter(|value| *value > 0);
        setting(attribute::DISAPPEAR_FROM)?;
        let lifetime = u64::try_from(setting(attribute::DISAPPEAR_IN)?).ok()?;
        Some(now.plus(Duration::from_nanos(lifetime)))
    }

    /// What some contents do beside being shown (groups §4.7).
    fn side_effects(&mut self, content: &[u8], sender: InboxId, message: subrosa_types::MessageId) {
        let Ok(encoded) = EncodedContent::from_bytes(content) else { return };
        if !matches!(Content::decode(&encoded), Ok(Content::LeaveRequest(_)))
            || !self.record.members.contains_key(&sender)
        {
            return;
        }
        if self.leaving.insert(sender) {
            self.push(Change::PendingRemove { group: self.record.id.clone(), inbox: sender, message });
        }
        if sender == self.me.inbox && self.record.membership != MembershipState::PendingRemove {
            self.record.membership = MembershipState::PendingRemove;
            self.touch_record();
        }
    }

    /// A commit took effect.
    pub(crate) fn merged(
        &mut self,
        message: &GroupMessage,
        own: Option<IntentId>,
        before: Vec<u8>,
        report: &CommitReport,
        now: UnixNanos,
    ) -> Result<(), MachineError> {
        self.refresh_record();
        self.record.held = None;
        self.record.maybe_forked = false;
        self.log_commit(Logged {
            at: message.sequence,
            before,
            result: CommitResult::Applied,
            sender: Some((report.actor.inbox, report.actor.installation)),
            note: report.commit_type.as_str().to_owned(),
        });
        if let Some(updated) = transcript::group_updated(report, &self.leaving) {
            let content = Content::GroupUpdated(updated).to_encoded().to_bytes();
            self.store_transcript(message, report, content, now);
        }
        let gone: Vec<InboxId> =
            report.removed_inboxes.iter().copied().filter(|inbox| self.leaving.remove(inbox)).collect();
        if !gone.is_empty() {
            self.push(Change::RemovalDone { group: self.record.id.clone(), inboxes: gone });
        }
        if let Some(id) = own {
            let post_commit =
                self.intents.get(&id).and_then(|i| i.payload.as_ref()).and_then(|p| p.post_commit.as_ref());
            let events: &[IntentEvent] = if post_commit.is_some() {
                &[IntentEvent::TookEffect]
            } else {
                &[IntentEvent::TookEffect, IntentEvent::PostCommitDone]
            };
            self.move_intent(id, events, None, Some(message.cursor()))?;
        }
        if report.removed_self {
            self.end_intents()?;
        }
        self.advance(message.cursor());
        self.tell(Event::Changed(self.record.id.clone()));
        Ok(())
    }

    /// We are out: what was still to be published never will be.
    fn end_intents(&mut self) -> Result<(), MachineError> {
        let waiting = |intent: &&Intent| matches!(intent.state, IntentState::ToPublish | IntentState::Published);
        let ended: Vec<IntentId> = self.intents.values().filter(waiting).map(|intent| intent.id).collect();
        for id in ended {
            self.move_intent(id, &[IntentEvent::Removed], None, None)?;
        }
        Ok(())
    }

    fn store_transcript(&mut self, message: &GroupMessage, report: &CommitReport, content: Vec<u8>, now: UnixNanos) {
        let key = transcript_key(message.created);
        self.store(Message {
            id: message_id(&self.record.id, &key, &content),
            group: self.record.id.clone(),
            sent_at: message.created,
            kind: MessageKind::Transcript,
            sender: report.actor.inbox,
            installation: report.actor.installation,
            delivery: Delivery::Published,
            content,
            position: Some(message.cursor()),
            expires_at: None,
            inserted_at: now,
        });
    }

    pub(crate) fn store(&mut self, message: Message) {
        self.record.last_message = self.record.last_message.max(Some(message.sent_at));
        self.push(Change::Message(Box::new(message.clone())));
        self.tell(Event::Message(Box::new(message)));
    }

    /// Copies what the record shows out of the group.
    pub(crate) fn refresh_record(&mut self) {
        self.record.active = self.group.is_active();
        self.record.epoch = self.group.epoch();
        self.record.authenticator = self.group.epoch_authenticator();
        let context = self.group.context();
        if let Ok(membership) = context.membership() {
            self.record.members.clone_from(&membership.members);
        }
        if let Ok(metadata) = context.mutable() {
            self.record.attributes.clone_from(&metadata.attributes);
            self.record.admins.clone_from(&metadata.admins);
            self.record.super_admins.clone_from(&metadata.super_admins);
        }
        if let Ok(permissions) = context.permissions() {
            self.record.permissions = permissions.to_bytes();
        }
        self.touch_record();
    }
}
