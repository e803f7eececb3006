//! Requests a minute, for each key by itself. Without keys there is one sender, the owner.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::caller::Caller;
use super::refusal::Refusal;

/// How often each sender may ask. Only keys that were recognised are counted, so what is remembered
/// is bounded by the number of keys.
pub(crate) struct RateLimits {
    limiter: Option<DefaultKeyedRateLimiter<Option<Arc<str>>>>,
    clock: DefaultClock,
}

impl RateLimits {
    /// `None` is no limit.
    pub(crate) fn new(requests_per_minute: Option<NonZeroU32>) -> Self {
        let quota = requests_per_minute.map(Quota::per_minute);
        Self {
            limiter: quota.map(RateLimiter::keyed),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request, unless it is one too many.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Refusal> {
        let (Some(limiter), false) = (&self.limiter, *caller == Caller::Nobody) else {
            return Ok(());
        };
        let early = match limiter.check_key(&caller.key_id().cloned()) {
            Ok(()) => return Ok(()),
            Err(early) => early,
        };
        Err(Refusal::TooMany {
            seconds: seconds_up(early.wait_time_from(self.clock.now())),
        })
    }
}

/// Whole seconds, rounded up: who comes back after them is not refused again.
fn seconds_up(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(key_id: &str) -> Caller {
        Caller::Owner {
            key_id: Some(key_id.into()),
        }
    }

    #[test]
    fn each_key_has_its_own_minute() {
        let limits = RateLimits::new(NonZeroU32::new(2));
        for key_id in ["a", "b"] {
            limits.check(&caller(key_id)).unwrap();
            limits.check(&caller(key_id)).unwrap();
            let refused = limits.check(&caller(key_id)).unwrap_err();
            let Refusal::TooMany { seconds } = refused else {
                panic!("{refused:?}");
            };
            assert!((1..=30).contains(&seconds), "{seconds}");
        }
        limits.check(&Caller::Nobody).unwrap();
    }

    #[test]
    fn without_a_limit_there_is_none() {
        let limits = RateLimits::new(None);
        (0..10_000).for_each(|_| limits.check(&caller("a")).unwrap());
    }
}
