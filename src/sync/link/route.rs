//! The address of the next attempt, and the times of asking the router.
//!
//! A router's answer is used for as long as it is valid, unless it stops working: after [`FAILURES_MAX`]
//! failures in a row, or when the device may be in another network, the link asks the router before the next
//! attempt. If the router does not answer then, the old answer is used, because the router may be down while
//! the service is up.

use std::time::Duration;

use crate::ServerAddress;
use crate::wire::route::Route;

/// So many failures in a row make an answer of the router out of date: both of its addresses were
/// tried twice. The official SDKs bear ten.
const FAILURES_MAX: u32 = 4;

/// The addresses of the service: one that is configured, or the two that the router told.
#[derive(Debug)]
pub(super) enum Addresses {
    /// The configured socket; no router is asked.
    Fixed { url: String },
    /// The router's answer, for as long as the router said.
    Routed {
        base: String,
        told: Option<RoutedAddresses>,
    },
}

/// An answer of the router.
#[derive(Debug)]
pub(super) struct RoutedAddresses {
    /// The address that is tried next.
    next: String,
    /// The address that is tried when that one fails.
    other: String,
    /// The time until which the answer is good, in elapsed time.
    good_until: Duration,
    /// True if the answer may be wrong, though its time is not over.
    doubted: bool,
    /// Attempts that failed in a row.
    failures: u32,
}

/// The next step to the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Ask the router at this base URL.
    Ask(String),
    /// Connect to this URL.
    Try(String),
}

impl Addresses {
    pub(super) fn new(server: &ServerAddress) -> Self {
        match server {
            ServerAddress::Router { url } => Self::Routed {
                base: url.trim_end_matches('/').to_owned(),
                told: None,
            },
            ServerAddress::Socket { url } => Self::Fixed { url: url.clone() },
        }
    }

    /// The way to go now: an answer of the router is used while it is good.
    pub(super) fn way(&self, now: Duration) -> Way {
        match self {
            Self::Fixed { url } => Way::Try(url.clone()),
            Self::Routed { base, told } => match told {
                Some(told) if now < told.good_until && !told.doubted => Way::Try(told.next.clone()),
                _ => Way::Ask(base.clone()),
            },
        }
    }

    /// Takes the router's answer in, or its failure, and says where to connect. An old answer is
    /// better than none: the router may be down while the service is up.
    pub(super) fn learn(&mut self, now: Duration, answer: Option<&[u8]>) -> Option<String> {
        let Self::Routed { told, .. } = self else {
            return None;
        };
        let route = answer
            .and_then(|body| std::str::from_utf8(body).ok())
            .and_then(|text| Route::decode(text).ok());
        if let Some(route) = route {
            let other = route.secondary.unwrap_or_else(|| route.server.clone());
            *told = Some(RoutedAddresses {
                next: route.server,
                other,
                good_until: now.saturating_add(Duration::from_secs(route.ttl_secs)),
                doubted: false,
                failures: 0,
            });
        }
        told.as_ref().map(|told| told.next.clone())
    }

    /// The address failed, or the connection to it broke: the other one is next.
    pub(super) fn failed(&mut self) {
        if let Self::Routed {
            told: Some(told), ..
        } = self
        {
            std::mem::swap(&mut told.next, &mut told.other);
            told.failures += 1;
            told.doubted |= told.failures >= FAILURES_MAX;
        }
    }

    /// The service spoke: the answer of the router works.
    pub(super) fn proved(&mut self) {
        if let Self::Routed {
            told: Some(told), ..
        } = self
        {
            told.failures = 0;
            told.doubted = false;
        }
    }

    /// The device may be in another network, where the router may tell another address.
    pub(super) fn doubt(&mut self) {
        if let Self::Routed {
            told: Some(told), ..
        } = self
        {
            told.doubted = true;
        }
    }

    /// The app or the system tries anew: an answer that failed last is not relied on.
    pub(super) fn doubt_if_failing(&mut self) {
        if let Self::Routed {
            told: Some(told), ..
        } = self
        {
            told.doubted |= told.failures > 0;
        }
    }

    /// Forgets the router's answer, because the service sent us away.
    pub(super) fn forget(&mut self) {
        if let Self::Routed { told, .. } = self {
            *told = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = br#"{"server":"wss://a","secondary":"wss://b","ttl":60}"#;

    fn routed() -> Addresses {
        Addresses::new(&ServerAddress::Router {
            url: "https://chat.example.org/".into(),
        })
    }

    #[test]
    fn the_two_addresses_take_turns_while_the_answer_is_good() {
        let mut addresses = routed();
        let base = "https://chat.example.org".to_owned();
        assert_eq!(addresses.way(Duration::ZERO), Way::Ask(base.clone()));
        assert_eq!(
            addresses.learn(Duration::ZERO, Some(ANSWER)).as_deref(),
            Some("wss://a")
        );
        addresses.failed();
        let later = Duration::from_secs(59);
        assert_eq!(addresses.way(later), Way::Try("wss://b".into()));
        addresses.failed();
        assert_eq!(addresses.way(later), Way::Try("wss://a".into()));
        assert_eq!(addresses.way(Duration::from_secs(60)), Way::Ask(base));
    }

    #[test]
    fn an_answer_that_fails_or_may_be_of_another_network_is_asked_for_again() {
        let ask = Way::Ask("https://chat.example.org".to_owned());
        let learnt = || {
            let mut addresses = routed();
            addresses.learn(Duration::ZERO, Some(ANSWER));
            addresses
        };
        let mut addresses = learnt();
        for _ in 1..FAILURES_MAX {
            addresses.failed();
        }
        assert!(matches!(addresses.way(Duration::ZERO), Way::Try(_)));
        addresses.proved();
        for _ in 1..FAILURES_MAX {
            addresses.failed();
        }
        assert!(matches!(addresses.way(Duration::ZERO), Way::Try(_)));
        addresses.failed();
        assert_eq!(addresses.way(Duration::ZERO), ask);
        // The router is down: the old answer is used, and the router is asked again next time.
        assert!(addresses.learn(Duration::ZERO, None).is_some());
        assert_eq!(addresses.way(Duration::ZERO), ask);
        let mut addresses = learnt();
        addresses.doubt_if_failing();
        assert!(matches!(addresses.way(Duration::ZERO), Way::Try(_)));
        addresses.failed();
        addresses.doubt_if_failing();
        assert_eq!(addresses.way(Duration::ZERO), ask);
        let mut addresses = learnt();
        addresses.doubt();
        assert_eq!(addresses.way(Duration::ZERO), ask);
        addresses.proved();
        assert!(matches!(addresses.way(Duration::ZERO), Way::Try(_)));
    }

    #[test]
    fn an_answer_that_nothing_can_connect_to_is_not_kept() {
        let mut addresses = routed();
        for answer in [
            r#"{"server":"http:"}"#,
            r#"{"server":"wss://"}"#,
            r#"{"server":"x"}"#,
        ] {
            assert_eq!(
                addresses.learn(Duration::ZERO, Some(answer.as_bytes())),
                None
            );
            assert!(matches!(addresses.way(Duration::ZERO), Way::Ask(_)));
        }
    }

    #[test]
    fn an_old_answer_is_used_when_the_router_is_down_but_not_after_goaway() {
        let mut addresses = routed();
        addresses.learn(Duration::ZERO, Some(ANSWER));
        let later = Duration::from_secs(600);
        assert_eq!(addresses.learn(later, None).as_deref(), Some("wss://a"));
        assert_eq!(
            addresses.learn(later, Some(b"{\"oops\":1}")).as_deref(),
            Some("wss://a")
        );
        addresses.forget();
        assert_eq!(addresses.learn(later, None), None);
    }
}
