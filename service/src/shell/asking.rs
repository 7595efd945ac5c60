//! The askers over HTTP, and the number of their requests that may wait for the core.
//!
//! Requests of one app from one address share a lane and a number of places; other askers have their own. An
//! asker with endless requests therefore waits only for itself.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sampan::model::AppId;

/// Requests that may wait at a time before only those come in whose asker has none waiting.
const WAITING_MAX: usize = 256;

/// Requests of one asker that may wait at a time.
const WAITING_EACH_MAX: usize = 64;

/// Requests that may wait at a time, whoever asks.
const WAITING_AT_MOST: usize = 1024;

/// The number of an app as seen from one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AskerNumber(u64);

/// A caller that has shown the key of an app, or a token of one of its clients.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) app: AppId,
    pub(super) number: AskerNumber,
}

/// The requests that wait.
#[derive(Debug, Default)]
pub(super) struct Asking {
    hasher: RandomState,
    /// The number of waiting requests of each asker that has any.
    waiting: Mutex<HashMap<AskerNumber, usize>>,
}

/// A place among the waiting requests; dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    asking: Arc<Asking>,
    asker: AskerNumber,
}

impl Asking {
    /// The asker for an app from an address.
    pub(super) fn asker(&self, app: AppId, address: IpAddr) -> Asker {
        let number = AskerNumber(self.hasher.hash_one((&app, address)));
        Asker { app, number }
    }

    /// Takes a place, if there is one for this asker.
    pub(super) fn place(self: &Arc<Self>, asker: AskerNumber) -> Option<Place> {
        let mut waiting = self.lock();
        let all: usize = waiting.values().sum();
        let own = waiting.get(&asker).copied().unwrap_or_default();
        let is_free = match own {
            0 => all < WAITING_AT_MOST,
            _ => all < WAITING_MAX && own < WAITING_EACH_MAX,
        };
        is_free.then(|| {
            waiting.insert(asker, own + 1);
            let asking = Arc::clone(self);
            Place { asking, asker }
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AskerNumber, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.asking.lock();
        if let Some(own) = waiting.get_mut(&self.asker) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&self.asker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(asking: &Asking, app: &str, address: u8) -> AskerNumber {
        let address = IpAddr::from([127, 0, 0, address]);
        asking.asker(AppId::new(app).unwrap(), address).number
    }

    #[test]
    fn who_has_too_many_requests_waiting_takes_no_place_of_others() {
        let asking = Arc::new(Asking::default());
        let mut places = Vec::new();
        for address in 1..=8 {
            let greedy = asker(&asking, "app", address);
            while let Some(place) = asking.place(greedy) {
                places.push(place);
            }
        }
        assert!(
            places.len() > WAITING_MAX && places.len() < WAITING_MAX + 8,
            "{}",
            places.len()
        );
        for (app, address) in [("app", 9), ("other", 1)] {
            let modest = asker(&asking, app, address);
            let place = asking.place(modest).expect("a place for who has none");
            assert!(asking.place(modest).is_none());
            drop(place);
        }
        places.clear();
        assert!(asking.lock().is_empty());
        assert!(asking.place(asker(&asking, "app", 1)).is_some());
    }
}
