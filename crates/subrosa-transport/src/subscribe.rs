//! Subscriptions: requests, and the checks on every item that arrives (transport §4.8, sync §3.8).

use std::collections::BTreeMap;

use futures::{Stream, StreamExt, stream};
use subrosa_envelope::{DecodeError, GroupMessage, Welcome};
use subrosa_proto::xmtp::mls::api::v1 as api;
use subrosa_types::{GroupId, InstallationId, SequenceId};
use tonic::Status;

use crate::{
    BadAnswer, EnvelopeStream, NetworkError, Received,
    answer::{self, Ascent},
};

/// An item of a subscription.
pub(crate) trait Item: Sized + Send + 'static {
    /// The message of the wire.
    type Wire: Send + 'static;
    /// What names its topic.
    type Key: Ord + Send + 'static;

    /// Position and content; `None` for a message without a version.
    fn read(wire: Self::Wire) -> Option<(u64, Result<Self, DecodeError>)>;

    /// The topic it belongs to.
    fn key(&self) -> &Self::Key;
}

impl Item for GroupMessage {
    type Wire = api::GroupMessage;
    type Key = GroupId;

    fn read(wire: api::GroupMessage) -> Option<(u64, Result<Self, DecodeError>)> {
        answer::group_message(wire)
    }

    fn key(&self) -> &GroupId {
        self.group_id()
    }
}

impl Item for Welcome {
    type Wire = api::WelcomeMessage;
    type Key = InstallationId;

    fn read(wire: api::WelcomeMessage) -> Option<(u64, Result<Self, DecodeError>)> {
        answer::welcome(wire)
    }

    fn key(&self) -> &InstallationId {
        self.installation()
    }
}

pub(crate) fn group_request(filters: &[(GroupId, SequenceId)]) -> api::SubscribeGroupMessagesRequest {
    let filter = |(group, after): &(GroupId, SequenceId)| api::subscribe_group_messages_request::Filter {
        group_id: group.as_bytes().to_vec(),
        id_cursor: after.0,
    };
    api::SubscribeGroupMessagesRequest { filters: filters.iter().map(filter).collect() }
}

pub(crate) fn welcome_request(filters: &[(InstallationId, SequenceId)]) -> api::SubscribeWelcomeMessagesRequest {
    let filter =
        |(installation, after): &(InstallationId, SequenceId)| api::subscribe_welcome_messages_request::Filter {
            installation_key: installation.as_bytes().to_vec(),
            id_cursor: after.0,
        };
    api::SubscribeWelcomeMessagesRequest { filters: filters.iter().map(filter).collect() }
}

/// Hands items on until the first error, which ends the stream.
pub(crate) fn checked<T: Item>(
    wire: impl Stream<Item = Result<T::Wire, Status>> + Send + 'static,
    filters: Vec<(T::Key, SequenceId)>,
) -> EnvelopeStream<T> {
    let mut topics = BTreeMap::new();
    for (key, after) in filters {
        let ascent = topics.entry(key).or_insert(after);
        *ascent = after.min(*ascent);
    }
    let topics: BTreeMap<T::Key, Ascent> = topics.into_iter().map(|(key, after)| (key, Ascent::from(after))).collect();
    stream::unfold(Some((Box::pin(wire), topics)), |state| async {
        let (mut wire, mut topics) = state?;
        loop {
            let next = match wire.next().await {
                None => Err(BadAnswer::Ended.into()),
                Some(Err(status)) => Err(status.into()),
                Some(Ok(message)) => check(&mut topics, message).map_err(NetworkError::from),
            };
            match next {
                Ok(None) => {}
                Ok(Some(received)) => return Some((Ok(received), Some((wire, topics)))),
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
    .boxed()
}

/// A malformed item names no topic that could be trusted, so only its position is checked.
fn check<T: Item>(topics: &mut BTreeMap<T::Key, Ascent>, wire: T::Wire) -> Result<Option<Received<T>>, BadAnswer> {
    let Some((id, item)) = T::read(wire) else { return Ok(None) };
    let sequence = match &item {
        Ok(item) => topics.get_mut(item.key()).ok_or(BadAnswer::Topic)?.next(id)?,
        Err(_) => Ascent::from(SequenceId::START).next(id)?,
    };
    Ok(Some(Received { sequence, item }))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn message(group: u8, id: u64) -> Result<api::GroupMessage, Status> {
        let data = [&[0, 1, 0, 2, 1, group][..], &[0; 8], &[1, 0, 0, 0]].concat();
        let v1 = api::group_message::V1 { id, data, ..Default::default() };
        Ok(api::GroupMessage { version: Some(api::group_message::Version::V1(v1)) })
    }

    fn read(wire: Vec<Result<api::GroupMessage, Status>>) -> (Vec<u64>, NetworkError) {
        let group = |byte| GroupId::from_slice(&[byte]).unwrap();
        let filters = vec![(group(1), SequenceId(5)), (group(2), SequenceId::START), (group(1), SequenceId(3))];
        let items: Vec<_> = checked::<GroupMessage>(stream::iter(wire), filters).collect().now_or_never().unwrap();
        let mut ids = Vec::new();
        for item in items {
            match item {
                Ok(received) => ids.push(received.sequence.0),
                Err(error) => return (ids, error),
            }
        }
        panic!("a stream ends with an error")
    }

    #[test]
    fn topics_ascend_independently_from_the_smallest_position_asked_for() {
        let (ids, end) = read(vec![message(1, 4), message(2, 1), message(1, 6), message(2, 2)]);
        assert_eq!(ids, [4, 1, 6, 2]);
        assert!(matches!(end, NetworkError::BadAnswer(BadAnswer::Ended)));
    }

    #[test]
    fn the_first_untrue_number_ends_the_stream() {
        let (ids, end) = read(vec![message(1, 4), message(1, 4), message(1, 5)]);
        assert_eq!(ids, [4]);
        assert!(matches!(end, NetworkError::BadAnswer(BadAnswer::Order { .. })));
        assert!(matches!(read(vec![message(3, 1)]).1, NetworkError::BadAnswer(BadAnswer::Topic)));
        assert!(matches!(read(vec![message(2, 0)]).1, NetworkError::BadAnswer(BadAnswer::Position(0))));
    }

    #[test]
    fn an_error_of_the_node_is_handed_on() {
        let (ids, end) = read(vec![message(1, 4), Err(Status::aborted("too slow")), message(1, 5)]);
        assert_eq!(ids, [4]);
        assert!(matches!(end, NetworkError::Unreachable { cause: crate::Outage::Aborted, .. }));
    }

    #[test]
    fn malformed_items_are_handed_on_with_their_position() {
        let v1 = api::group_message::V1 { id: 9, ..Default::default() };
        let empty = api::GroupMessage { version: Some(api::group_message::Version::V1(v1)) };
        assert_eq!(read(vec![Ok(api::GroupMessage::default()), Ok(empty)]).0, [9]);
    }
}
