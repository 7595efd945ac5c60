//! Tries the addresses of a host in parallel, so an address without any answer costs only a moment (RFC 8305).
//!
//! IPv4 and IPv6 addresses take turns. Each address has a short head start before the next one is tried beside
//! it; an address that fails hands over at once. The first that answers wins, and the others are dropped.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::timeout;

/// How long an address is tried alone.
const HEAD_START: Duration = Duration::from_millis(250);

/// The shortest head start, where many addresses share little time.
const HEAD_START_MIN: Duration = Duration::from_millis(10);

/// The addresses with the families in turn, each in its order; the family of the first goes first.
pub(super) fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let is_first = addresses.first().map(SocketAddr::is_ipv6);
    let (mut first, mut other): (std::collections::VecDeque<_>, std::collections::VecDeque<_>) =
        addresses
            .into_iter()
            .partition(|address| Some(address.is_ipv6()) == is_first);
    let mut mixed = Vec::with_capacity(first.len() + other.len());
    while !first.is_empty() || !other.is_empty() {
        mixed.extend(first.pop_front());
        mixed.extend(other.pop_front());
    }
    mixed
}

/// Connects to the address that answers first; none when there is no address. `limit` is the time
/// for everything that the caller waits for: every address is tried within the first half of it.
pub(super) async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: Vec<SocketAddr>,
    limit: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Option<io::Result<T>> {
    let head_start = head_start(addresses.len(), limit);
    let mut addresses = addresses.into_iter();
    let mut tries = FuturesUnordered::new();
    let mut failure = None;
    loop {
        match addresses.next() {
            Some(address) => tries.push(connect(address)),
            None if tries.is_empty() => return failure,
            None => {}
        }
        let outcome = if addresses.len() > 0 {
            // None when the head start is over: the next one is tried beside it.
            timeout(head_start, tries.next()).await.ok().flatten()
        } else {
            tries.next().await
        };
        match outcome {
            Some(Ok(connection)) => return Some(Ok(connection)),
            Some(Err(error)) => failure = Some(Err(error)),
            None => {}
        }
    }
}

fn head_start(addresses: usize, limit: Duration) -> Duration {
    let shares = u32::try_from(addresses.saturating_mul(2)).unwrap_or(u32::MAX);
    let share = limit.checked_div(shares).unwrap_or(HEAD_START);
    share.clamp(HEAD_START_MIN, HEAD_START)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    /// The behaviour of an address: it answers after so many milliseconds, it refuses, or it says nothing.
    async fn behave(address: SocketAddr) -> io::Result<SocketAddr> {
        match address.port() {
            1 => pending().await,
            2 => Err(io::ErrorKind::ConnectionRefused.into()),
            millis => {
                let _ = timeout(Duration::from_millis(millis.into()), pending::<()>()).await;
                Ok(address)
            }
        }
    }

    #[test]
    fn the_families_take_turns_and_the_resolvers_first_stays_first() {
        let found = addresses(&["[::1]:7", "[::2]:7", "[::3]:7", "127.0.0.1:7"]);
        let expected = addresses(&["[::1]:7", "127.0.0.1:7", "[::2]:7", "[::3]:7"]);
        assert_eq!(in_turn(found), expected);
        assert_eq!(in_turn(Vec::new()), []);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_everything_costs_its_head_start() {
        let begun = Instant::now();
        let hosts = addresses(&["[::1]:1", "127.0.0.1:30"]);
        let won = race(hosts, LIMIT, behave).await.unwrap().unwrap();
        assert_eq!(won.port(), 30);
        assert_eq!(begun.elapsed(), HEAD_START + Duration::from_millis(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_hands_over_at_once_and_a_slow_first_may_still_win() {
        let begun = Instant::now();
        let hosts = addresses(&["[::1]:2", "127.0.0.1:30"]);
        assert!(race(hosts, LIMIT, behave).await.unwrap().is_ok());
        assert_eq!(begun.elapsed(), Duration::from_millis(30));
        let hosts = addresses(&["[::1]:300", "127.0.0.1:400"]);
        let won = race(hosts, LIMIT, behave).await.unwrap().unwrap();
        assert_eq!(won.port(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn of_many_addresses_the_last_one_is_tried_in_half_of_the_time() {
        let begun = Instant::now();
        let mut hosts = addresses(&["[::1]:1"; 99]);
        hosts.extend(addresses(&["127.0.0.1:30"]));
        assert!(race(hosts, LIMIT, behave).await.unwrap().is_ok());
        assert!(begun.elapsed() <= LIMIT / 2, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_there_is_the_last_failure_and_no_address_is_none() {
        let hosts = addresses(&["[::1]:2", "127.0.0.1:2"]);
        assert!(race(hosts, LIMIT, behave).await.unwrap().is_err());
        assert!(race(Vec::new(), LIMIT, behave).await.is_none());
    }
}
