//! The clients that each session watches; first generation API (the protocol, section 4.11).

use std::collections::{BTreeMap, BTreeSet};

use sampan::model::{AppId, ClientId};

use crate::core::exchange::input::SessionId;

/// Clients that one session may watch.
pub(in crate::core) const WATCHED_MAX: usize = 1000;

/// The watch lists of all sessions.
#[derive(Debug, Default)]
pub(in crate::core) struct Watches {
    watched: BTreeMap<SessionId, BTreeSet<ClientId>>,
    watchers: BTreeMap<(AppId, ClientId), BTreeSet<SessionId>>,
    /// Watched clients that came or went in the turn at hand, and whether they were online before.
    before: BTreeMap<(AppId, ClientId), bool>,
}

/// A watch list has no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) struct WatchListFull;

impl Watches {
    /// Adds clients to the watch list of a session: all of them, or none when there are too many.
    pub(in crate::core) fn watch(
        &mut self,
        app: &AppId,
        session: &SessionId,
        peers: &[ClientId],
    ) -> Result<(), WatchListFull> {
        let watched = self.watched.entry(session.clone()).or_default();
        let all: BTreeSet<&ClientId> = watched.iter().chain(peers).collect();
        if all.len() > WATCHED_MAX {
            return Err(WatchListFull);
        }
        for peer in peers {
            watched.insert(peer.clone());
            let watchers = self.watchers.entry((app.clone(), peer.clone()));
            watchers.or_default().insert(session.clone());
        }
        Ok(())
    }

    /// Takes clients off the watch list of a session.
    pub(in crate::core) fn unwatch(
        &mut self,
        app: &AppId,
        session: &SessionId,
        peers: &[ClientId],
    ) {
        for peer in peers {
            if let Some(watched) = self.watched.get_mut(session) {
                watched.remove(peer);
            }
            self.drop_watcher(app, session, peer);
        }
    }

    /// Forgets the watch list of a session that has ended.
    pub(in crate::core) fn forget(&mut self, app: &AppId, session: &SessionId) {
        for peer in self.watched.remove(session).unwrap_or_default() {
            self.drop_watcher(app, session, &peer);
        }
    }

    /// True if a session watches a client.
    pub(in crate::core) fn is_watching(&self, session: &SessionId, peer: &ClientId) -> bool {
        let watched = self.watched.get(session);
        watched.is_some_and(|watched| watched.contains(peer))
    }

    /// The sessions that watch a client.
    pub(in crate::core) fn watchers_of(&self, app: &AppId, peer: &ClientId) -> Vec<SessionId> {
        let watchers = self.watchers.get(&(app.clone(), peer.clone()));
        watchers.into_iter().flatten().cloned().collect()
    }

    /// Notes that a client may have come or gone; the first note of a turn counts.
    pub(in crate::core) fn note(&mut self, app: &AppId, peer: &ClientId, was_online: bool) {
        let key = (app.clone(), peer.clone());
        if self.watchers.contains_key(&key) {
            self.before.entry(key).or_insert(was_online);
        }
    }

    /// Takes the clients that were noted, each with whether it was online before.
    pub(in crate::core) fn take_noted(&mut self) -> BTreeMap<(AppId, ClientId), bool> {
        std::mem::take(&mut self.before)
    }

    fn drop_watcher(&mut self, app: &AppId, session: &SessionId, peer: &ClientId) {
        let key = (app.clone(), peer.clone());
        if let Some(watchers) = self.watchers.get_mut(&key) {
            watchers.remove(session);
            if watchers.is_empty() {
                self.watchers.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::exchange::input::ConnectionId;

    fn client(name: &str) -> ClientId {
        ClientId::new(name).unwrap()
    }

    fn session(connection: u64) -> SessionId {
        SessionId {
            connection: ConnectionId(connection),
            client: client("Tom"),
        }
    }

    #[test]
    fn a_watch_list_has_a_bound_and_one_that_ended_leaves_nothing() {
        let app = AppId::new("myApp").unwrap();
        let mut watches = Watches::default();
        let many: Vec<ClientId> = (0..WATCHED_MAX).map(|n| client(&n.to_string())).collect();
        assert_eq!(watches.watch(&app, &session(1), &many), Ok(()));
        let one_more = [client("Jerry")];
        let full = watches.watch(&app, &session(1), &one_more);
        assert_eq!(full, Err(WatchListFull));
        assert!(!watches.is_watching(&session(1), &one_more[0]));
        assert_eq!(watches.watch(&app, &session(1), &many[..9]), Ok(()));
        watches.forget(&app, &session(1));
        assert!(watches.watched.is_empty() && watches.watchers.is_empty());
    }
}
