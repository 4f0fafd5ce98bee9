//! Rate limits of requests: one token bucket for each user and for each client address.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Weak},
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::{error::Refusal, ids::UserId, limits::Limits};

/// Counts the requests of users and addresses.
pub struct Limiter {
    users: Option<DefaultKeyedRateLimiter<UserId>>,
    addresses: Option<DefaultKeyedRateLimiter<IpAddr>>,
    /// Links to files of recordings. Each is an entry of the audit log, so they are counted whatever the limits are.
    links: DefaultKeyedRateLimiter<UserId>,
}

impl Limiter {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            users: buckets(limits.requests_per_user, BURST),
            addresses: buckets(limits.requests_per_address, BURST),
            links: RateLimiter::keyed(Quota::per_second(LINKS_PER_USER).allow_burst(LINKS_AT_ONCE)),
        }
    }

    /// Counts one request of a user.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait.
    pub fn count_user(&self, user: UserId) -> Result<(), Refusal> {
        count(self.users.as_ref(), &user)
    }

    /// Counts one link that a user makes; those of the service are not counted.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait.
    pub fn count_link(&self, user: Option<UserId>) -> Result<(), Refusal> {
        user.map_or(Ok(()), |user| count(Some(&self.links), &user))
    }

    /// Counts one request from an address. Loopback addresses are not limited: behind them may be a proxy, or
    /// many programs.
    ///
    /// # Errors
    /// `rate_limited`, with how long to wait.
    pub fn count_address(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        if address.is_loopback() { Ok(()) } else { count(self.addresses.as_ref(), &site(address)) }
    }

    /// Starts a task that drops the entries whose bucket is full again, as long as this limiter lives.
    pub(crate) fn keep_small(self: &Arc<Self>) {
        tokio::spawn(forget(Arc::downgrade(self)));
    }
}

async fn forget(limiter: Weak<Limiter>) {
    loop {
        tokio::time::sleep(FORGET_EVERY).await;
        let Some(limiter) = limiter.upgrade() else { return };
        limiter.users.iter().for_each(RateLimiter::retain_recent);
        limiter.addresses.iter().for_each(RateLimiter::retain_recent);
        limiter.links.retain_recent();
    }
}

/// `None` for 0, which means no limit.
fn buckets<K: Hash + Eq + Clone>(per_second: u32, burst: NonZeroU32) -> Option<DefaultKeyedRateLimiter<K>> {
    let rate = NonZeroU32::new(per_second)?;
    Some(RateLimiter::keyed(Quota::per_second(rate).allow_burst(rate.saturating_mul(burst))))
}

/// When the table is full, requests are accepted without counting: to refuse all would be a denial of
/// service.
fn count<K: Hash + Eq + Clone>(buckets: Option<&DefaultKeyedRateLimiter<K>>, key: &K) -> Result<(), Refusal> {
    let Some(buckets) = buckets.filter(|buckets| buckets.len() < MAX_KEYS) else { return Ok(()) };
    buckets.check_key(key).map_err(|until| Refusal::rate_limited(until.wait_time_from(buckets.clock().now())))
}

/// IPv6 addresses are counted per /64 network, as one client can use all addresses of its network.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// Burst size, in seconds of the rate.
const BURST: NonZeroU32 = NonZeroU32::new(4).unwrap();
/// Links of one user a second. A player asks for one for each file of a recording, and again when it expires.
const LINKS_PER_USER: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// As many as a large recording has files.
const LINKS_AT_ONCE: NonZeroU32 = NonZeroU32::new(400).unwrap();
/// Maximum number of entries, for users and for addresses each.
const MAX_KEYS: usize = 200_000;
const FORGET_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    fn limiter(requests_per_user: u32, requests_per_address: u32) -> Limiter {
        Limiter::new(Limits { requests_per_user, requests_per_address, ..Limits::default() })
    }

    /// The number of requests accepted before the first refusal, out of at most 1000.
    fn passing(mut ask: impl FnMut() -> Result<(), Refusal>) -> usize {
        (0..1_000).take_while(|_| ask().is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_what_follows_is_told_how_long_to_wait() {
        let limiter = limiter(1, 0);
        let (ada, bob) = (UserId::random(), UserId::random());
        assert!((4..1_000).contains(&passing(|| limiter.count_user(ada))));
        let refused = limiter.count_user(ada).unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited);
        assert!(refused.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1)));
        assert!(limiter.count_user(bob).is_ok());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let limiter = limiter(0, 1);
        let mut host = 0;
        let passed = passing(|| {
            host += 1;
            limiter.count_address(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host).into())
        });
        assert!((4..1_000).contains(&passed));
        assert!(limiter.count_address("2001:db8:0:1::1".parse().unwrap()).is_ok());
        assert!(limiter.count_address("203.0.113.7".parse().unwrap()).is_ok());
    }

    #[test]
    fn this_machine_and_a_limit_of_zero_are_never_refused() {
        let (some, none) = (limiter(1, 1), limiter(0, 0));
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(passing(|| some.count_address(address.parse().unwrap())), 1_000);
        }
        let user = UserId::random();
        assert_eq!(passing(|| none.count_address("203.0.113.7".parse().unwrap())), 1_000);
        assert_eq!(passing(|| none.count_user(user)), 1_000);
    }

    #[test]
    fn links_are_counted_apart_also_where_requests_are_not() {
        for limiter in [limiter(0, 0), limiter(1_000_000, 0)] {
            let (ada, bob) = (Some(UserId::random()), Some(UserId::random()));
            assert!((400..1_000).contains(&passing(|| limiter.count_link(ada))));
            assert!(limiter.count_link(bob).is_ok());
            assert_eq!(passing(|| limiter.count_link(None)), 1_000, "the service is not counted");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_stopped_asking_is_forgotten() {
        let limiter = Arc::new(limiter(1_000_000, 0));
        limiter.keep_small();
        limiter.count_user(UserId::random()).unwrap();
        let known = || limiter.users.as_ref().map_or(0, RateLimiter::len);
        assert_eq!(known(), 1);
        while known() > 0 {
            tokio::time::sleep(FORGET_EVERY).await;
        }
    }
}
