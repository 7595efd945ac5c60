//! The notifications that a client missed: its own, those that name it, and those of its conversations.
//!
//! A notification for the members of a conversation is written once and found by each member. A change
//! therefore costs the same for any number of members, and a read costs a look at each conversation of the
//! asking client.

use sampan::model::{AppId, ClientId, ConversationId, Timestamp};
use serde_json::{Map as Object, Value};

use super::codec::decode;
use super::key::{self, Key, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map};
use super::record::{Member, Missed, Notification};
use super::{Order, StorageError};

/// Conversations that are looked at for a client. A client that is in more asks for everything anew.
const CONVERSATIONS_MAX: usize = 1_000;

/// Notices of a conversation that are kept, the newest ones. Where so many came since a time, there
/// may have been more.
pub(crate) const NOTICES_KEPT_MAX: usize = 400;

/// A row: its key and its value.
type Row = (Vec<u8>, Vec<u8>);

/// The notifications gathered for one client.
struct Gathering<'a> {
    client: &'a ClientId,
    limit: usize,
    missed: Missed,
}

impl Gathering<'_> {
    fn add(&mut self, at: Timestamp, sequence: u32, item: Option<Object<String, Value>>) {
        match item {
            Some(item) => self.missed.notifications.push(Notification {
                client: self.client.clone(),
                at,
                sequence,
                item,
            }),
            None => self.missed.is_partial = true,
        }
    }

    /// Keeps the oldest of the notifications found so far.
    fn cut(&mut self) {
        let found = &mut self.missed.notifications;
        found.sort_by_key(|one| (one.at, one.sequence));
        found.truncate(self.limit);
    }
}

impl<M: Map> Keyed<M> {
    pub(super) fn missed(
        &self,
        app: &AppId,
        client: &ClientId,
        since: Timestamp,
        limit: usize,
    ) -> Result<Missed, StorageError> {
        let mut gathering = Gathering {
            client,
            limit,
            missed: Missed::default(),
        };
        let own = key::notifications(app, client);
        for (_, row) in self.behind(&own, since, limit)? {
            gathering.missed.notifications.push(decode(&row)?);
        }
        let named = key::references(app, client);
        for (row, _) in self.behind(&named, since, limit)? {
            let mut parts = Parts::after(&row, named.len())?;
            let (at, sequence) = (parts.time()?, parts.number()?);
            let notice = key::single_notice(app, at, sequence);
            if let Some(item) = self.record(&notice)? {
                gathering.add(at, sequence, item);
            }
        }
        self.gather_of_conversations(app, since, &mut gathering)?;
        gathering.cut();
        Ok(gathering.missed)
    }

    fn gather_of_conversations(
        &self,
        app: &AppId,
        since: Timestamp,
        gathering: &mut Gathering<'_>,
    ) -> Result<(), StorageError> {
        let client = gathering.client;
        let memberships = key::memberships(app, client);
        let rows = self.under(&memberships, CONVERSATIONS_MAX + 1)?;
        gathering.missed.is_partial |= rows.len() > CONVERSATIONS_MAX;
        for (row, _) in rows.iter().take(CONVERSATIONS_MAX) {
            let id = Parts::after(row, memberships.len())?.rest()?;
            let id = ConversationId::new(id).map_err(|_| DAMAGED_ID)?;
            let notices = key::notices(app, &id);
            let found = self.behind(&notices, since, gathering.limit)?;
            if found.is_empty() {
                continue;
            }
            let Some(member) = self.record::<Member>(&key::member(app, &id, client))? else {
                continue;
            };
            gathering.missed.is_partial |= found.len() >= NOTICES_KEPT_MAX;
            for (row, item) in found {
                let mut parts = Parts::after(&row, notices.len())?;
                let (at, sequence) = (parts.time()?, parts.number()?);
                if at >= member.joined_at {
                    gathering.add(at, sequence, decode(&item)?);
                }
            }
            if gathering.missed.notifications.len() > gathering.limit.saturating_mul(4) {
                gathering.cut();
            }
        }
        Ok(())
    }

    /// Rows under a prefix whose time lies behind `since`, oldest first.
    fn behind(
        &self,
        prefix: &Key,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<Row>, StorageError> {
        let from = prefix.clone().time(since).end();
        self.rows(&from, &prefix.clone().end(), Order::OldestFirst, limit)
    }
}
