//! The clients that signed in today: a figure for the operator, counted since the service started.

use std::collections::{BTreeMap, BTreeSet};

use sampan::model::{AppId, ClientId, Timestamp};

const DAY_MS: i64 = 86_400_000;

/// The clients of the current day (UTC), by app.
#[derive(Debug, Default)]
pub(in crate::core) struct Visitors {
    day: i64,
    of: BTreeMap<AppId, BTreeSet<ClientId>>,
}

impl Visitors {
    /// Notes that a client signed in.
    pub(in crate::core) fn note(&mut self, app: &AppId, client: &ClientId, at: Timestamp) {
        self.turn_to(at);
        let clients = self.of.entry(app.clone()).or_default();
        if !clients.contains(client) {
            clients.insert(client.clone());
        }
    }

    /// The number of clients that signed in today.
    pub(in crate::core) fn today(&mut self, app: &AppId, at: Timestamp) -> usize {
        self.turn_to(at);
        self.of.get(app).map_or(0, BTreeSet::len)
    }

    fn turn_to(&mut self, at: Timestamp) {
        let day = at.as_millis().div_euclid(DAY_MS);
        if day != self.day {
            self.day = day;
            self.of.clear();
        }
    }
}
