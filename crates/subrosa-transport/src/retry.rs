//! When a call is tried again (transport §7.1).

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use crate::{NetworkError, Outage};

/// How often and after which waits a call is tried again. Only outages are tried again, never a refusal and never
/// a wrong answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RetryPolicy {
    /// Wait before each further attempt; its length is their number.
    pub waits: Vec<Duration>,
    /// At most this much is added to each wait, at random.
    pub jitter: Duration,
    /// Longest time a node can ask to wait; when it asks for more, the error goes to the caller at once.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    /// Five further attempts within about two seconds.
    fn default() -> Self {
        Self {
            waits: [50, 50, 150, 450, 1350].map(Duration::from_millis).to_vec(),
            jitter: Duration::from_millis(25),
            patience: Duration::from_secs(30),
        }
    }
}

impl RetryPolicy {
    /// One attempt only.
    #[must_use]
    pub fn none() -> Self {
        Self { waits: Vec::new(), jitter: Duration::ZERO, patience: Duration::ZERO }
    }

    /// Runs `call` until it succeeds, is refused, or the attempts are used up.
    pub(crate) async fn run<T, F>(&self, call: impl Fn() -> F) -> Result<T, NetworkError>
    where
        F: Future<Output = Result<T, NetworkError>>,
    {
        let mut waits = self.waits.iter();
        loop {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(wait) = waits.next().and_then(|wait| self.wait_after(&error, *wait)) else { return Err(error) };
            tracing::debug!(%error, ?wait, "call is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    fn wait_after(&self, error: &NetworkError, wait: Duration) -> Option<Duration> {
        match error {
            // The same question gets the same answer.
            NetworkError::Unreachable { cause: Outage::AnswerTooLarge, .. } => None,
            NetworkError::Unreachable { retry_after, .. } => {
                let asked = retry_after.unwrap_or_default();
                (asked <= self.patience).then(|| wait.max(asked) + self.random_jitter())
            }
            NetworkError::Refused { .. } | NetworkError::BadAnswer(_) | NetworkError::TooLarge { .. } => None,
        }
    }

    /// Spreads clients that failed together; no secret depends on it.
    fn random_jitter(&self) -> Duration {
        let share = RandomState::new().hash_one(()) % 1024;
        self.jitter * u32::try_from(share).unwrap_or(0) / 1024
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::{NodeMessage, Refusal};

    fn outage(retry_after: Option<Duration>) -> NetworkError {
        NetworkError::Unreachable { cause: Outage::Unavailable, retry_after, message: NodeMessage::default() }
    }

    async fn attempts(error: NetworkError) -> (usize, Duration) {
        let count = Cell::new(0);
        let start = tokio::time::Instant::now();
        let result: Result<(), _> = RetryPolicy::default()
            .run(|| {
                count.set(count.get() + 1);
                std::future::ready(Err(error.clone()))
            })
            .await;
        assert!(result.is_err());
        (count.get(), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn outages_are_tried_six_times_within_the_documented_time() {
        let (count, time) = attempts(outage(None)).await;
        assert_eq!(count, 6);
        assert!(time >= Duration::from_millis(2050) && time <= Duration::from_millis(2250), "{time:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_are_never_tried_again() {
        let refusal = NetworkError::Refused { code: Refusal::InvalidArgument, message: NodeMessage::default() };
        assert_eq!(attempts(refusal).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_asks_to_wait_is_obeyed_or_reported() {
        let (count, time) = attempts(outage(Some(Duration::from_secs(3)))).await;
        assert_eq!((count, time.as_secs()), (6, 15));
        assert_eq!(attempts(outage(Some(Duration::from_secs(3600)))).await.0, 1);
    }
}
