//! The rate of requests and WebSockets of each address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The time over which is counted; it begins with the first request that is counted.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Addresses are looked through for those whose minute is over when there are this many more than
/// were left the last time.
const LOOK_AT: usize = 4096;

/// Counts the requests that come from each address.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Requests a minute; none where there is no limit.
    rate: Option<u32>,
    counts: PerMinute<IpAddr>,
}

/// Counts the acts of each key in a minute.
#[derive(Debug)]
pub(super) struct PerMinute<K>(Mutex<Counts<K>>);

#[derive(Debug)]
struct Counts<K> {
    of: HashMap<K, (Instant, u32)>,
    look_at: usize,
}

impl Addresses {
    pub(super) fn new(rate: Option<u32>) -> Self {
        let counts = PerMinute::default();
        Self { rate, counts }
    }

    /// Counts a request; answers whether it is within the rate.
    pub(super) fn admits(&self, address: IpAddr, now: Instant) -> bool {
        let Some(rate) = self.rate else {
            return true;
        };
        self.counts.admits(network(address), rate, now)
    }
}

impl<K> Default for PerMinute<K> {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            of: HashMap::new(),
            look_at: 0,
        }))
    }
}

impl<K: Eq + Hash> PerMinute<K> {
    /// Counts one more of `who`; answers whether it is within the rate.
    pub(super) fn admits(&self, who: K, rate: u32, now: Instant) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |since: Instant| now.duration_since(since) >= MINUTE;
        if counts.of.len() >= counts.look_at.max(LOOK_AT) {
            counts.of.retain(|_, (since, _)| !is_over(*since));
            counts.look_at = counts.of.len() + LOOK_AT;
        }
        let (since, count) = counts.of.entry(who).or_insert((now, 0));
        if is_over(*since) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= rate
    }
}

/// An address of version 6 counts with its network of 64 bits: one customer has all of it.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(bits))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_address_is_turned_away_until_its_minute_ends_and_others_are_not() {
        let addresses = Addresses::new(Some(2));
        let (one, other) = ("1.1.1.1".parse().unwrap(), "2.2.2.2".parse().unwrap());
        let now = Instant::now();
        assert!(addresses.admits(one, now) && addresses.admits(one, now));
        assert!(!addresses.admits(one, now + MINUTE / 2));
        assert!(addresses.admits(other, now));
        assert!(addresses.admits(one, now + MINUTE));
        let near: [IpAddr; 3] =
            ["2001:db8::1", "2001:db8::2", "2001:db8::3"].map(|it| it.parse().unwrap());
        assert_eq!(
            near.map(|it| addresses.admits(it, now)),
            [true, true, false]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_went_are_forgotten() {
        let addresses = Addresses::new(Some(1));
        let start = Instant::now();
        for number in 0..100_000_u32 {
            let now = start + MINUTE / 1000 * number;
            assert!(addresses.admits(IpAddr::from(number.to_be_bytes()), now));
        }
        assert!(addresses.counts.0.lock().unwrap().of.len() <= 2 * LOOK_AT);
    }
}
