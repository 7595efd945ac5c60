//! Which address is tried next, and when the router is asked again.

use std::time::Duration;

use crate::ServerAddress;
use crate::wire::route::Route;

/// The addresses of the service: one that is configured, or the two that the router told.
#[derive(Debug)]
pub(super) enum Addresses {
    /// The configured socket; no router is asked.
    Fixed { url: String },
    /// What the router said, for as long as it said.
    Routed { base: String, told: Option<Told> },
}

/// An answer of the router.
#[derive(Debug)]
pub(super) struct Told {
    /// The address that is tried next.
    next: String,
    /// The address that is tried when that one fails.
    other: String,
    /// Until when the answer is good, in elapsed time.
    good_until: Duration,
}

/// What to do to get to the service.
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
                Some(told) if now < told.good_until => Way::Try(told.next.clone()),
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
            *told = Some(Told {
                next: route.server,
                other,
                good_until: now.saturating_add(Duration::from_secs(route.ttl_secs)),
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
        }
    }

    /// The service sent us away: what the router said is out of date.
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
