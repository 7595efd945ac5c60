//! The live list of a conversation's members, or of its silenced or blocked clients.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{ClientId, CommitSeq, Count, MemberRole};
use crate::store::{ConversationNumber, ConversationRow, Snapshot, StoreError};

use super::diff::{Keyed, apply};
use super::edits::edits;
use super::{Version, Windows};

/// The most members that one step makes a window larger by.
const STEP_MAX: u32 = 500;

/// The groups of clients that a list can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum MemberGroup {
    /// All members: the owner, then managers, then the others.
    #[default]
    Members,
    /// The owner and the managers, who may remove and silence others.
    Managers,
    /// The silenced members, as far as the service told; `MemberList.refresh` asks for all.
    Silenced,
    /// The blocked clients, as far as the service told; `MemberList.refresh` asks for all.
    Blocked,
}

/// The options of a list of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MemberListOptions {
    /// The group; none for all members.
    #[uniffi(default)]
    pub group: Option<MemberGroup>,
    /// The rows of the first window, 1 to 500.
    #[uniffi(default = 100)]
    pub page: u32,
    /// True: the rows tell which members are online (`MemberRow.online`). While the session is open, the engine asks
    /// the service for the members in the window: when the list is opened, made larger or refreshed, and once a
    /// minute. The service answers for 20 clients at a time.
    #[uniffi(default = false)]
    pub online: bool,
}

impl Default for MemberListOptions {
    fn default() -> Self {
        Self {
            group: None,
            page: 100,
            online: false,
        }
    }
}

/// A member in a list.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct MemberRow {
    /// The client; also the key of the row.
    pub client: ClientId,
    /// The member's role.
    pub role: MemberRole,
    /// True if the member is this client.
    pub is_me: bool,
    /// True if the member is silenced, as far as the service told.
    pub silenced: bool,
    /// True if the member is signed in on at least one device, as the service told last. None for a list without
    /// `MemberListOptions.online`, and until the service has told it.
    #[uniffi(default)]
    pub online: Option<bool>,
}

edits! {
    /// One edit of a list of members. An index is valid for this edit only, after those before it.
    MemberEdit of MemberRow as row, rows
}

/// The changes of a list of members.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct MemberUpdate {
    /// The version after the edits, for `next`.
    pub version: Version,
    /// The commit that the window shows; it never goes back.
    pub seq: CommitSeq,
    /// The edits, in order.
    pub edits: Vec<MemberEdit>,
    /// True if there are more members than the window shows.
    pub more: bool,
    /// The number of members.
    pub total: Count,
}

/// The state of a list of members.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberListState {
    /// The version of the state, for `next`.
    pub version: Version,
    /// The rows, from the top.
    pub rows: Vec<MemberRow>,
    /// True if there are more than these.
    pub more: bool,
    /// The number of members.
    pub total: Count,
}

impl MemberListState {
    /// Applies an update that `next` answered for this state's version.
    pub fn apply(&mut self, update: MemberUpdate) {
        for edit in update.edits {
            apply(&mut self.rows, edit.into());
        }
        self.version = update.version;
        self.more = update.more;
        self.total = update.total;
    }
}

impl Keyed for MemberRow {
    type Key = ClientId;

    fn key(&self) -> &ClientId {
        &self.client
    }
}

/// A view of the members of one conversation.
#[derive(Debug)]
pub struct MemberView {
    group: MemberGroup,
    limit: usize,
    windows: Windows<Arc<MemberRow>>,
    seq: CommitSeq,
    total: usize,
    /// The last reading of the window, before it was cut to the limit.
    shown: Option<(usize, usize)>,
    /// The members and their presence, as the service told; none for a list without presence.
    online: Option<BTreeMap<ClientId, bool>>,
}

impl MemberView {
    /// A view without a window.
    #[must_use]
    pub fn new(options: MemberListOptions) -> Self {
        Self {
            group: options.group.unwrap_or_default(),
            limit: options.page.clamp(1, STEP_MAX) as usize,
            windows: Windows::default(),
            seq: CommitSeq::default(),
            total: 0,
            shown: None,
            online: options.online.then(BTreeMap::new),
        }
    }

    /// The clients of the window, for a list with presence.
    #[must_use]
    pub fn wants_online(&self) -> Option<Vec<ClientId>> {
        self.online.as_ref()?;
        let rows = self.windows.newest().iter();
        Some(rows.map(|row| row.client.clone()).collect())
    }

    /// Takes the service's answer: the clients of the question, and those of them that are online. True if that is news.
    pub fn note_online(&mut self, asked: Vec<ClientId>, online: &[ClientId]) -> bool {
        let told: BTreeMap<ClientId, bool> = asked
            .into_iter()
            .map(|client| {
                let is_online = online.contains(&client);
                (client, is_online)
            })
            .collect();
        let is_news = self.online.as_ref().is_some_and(|known| *known != told);
        if is_news {
            self.online = Some(told);
            self.shown = None;
        }
        is_news
    }

    /// The group of the view.
    #[must_use]
    pub const fn group(&self) -> MemberGroup {
        self.group
    }

    /// The rows of its window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.newest().len()
    }

    /// True if its window has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.newest().is_empty()
    }

    /// Makes the window larger, from the next reading on.
    pub fn grow(&mut self, rows: u32) {
        let rows = rows.clamp(1, STEP_MAX) as usize;
        self.limit = self.limit.saturating_add(rows);
    }

    /// True if the view shows the store's present content.
    #[must_use]
    pub fn is_fresh(&self, seq: CommitSeq) -> bool {
        let has_read = self.windows.version() != Version::NONE;
        let is_full = self.shown == Some((self.total, self.limit.min(self.total)));
        has_read && is_full && self.seq == seq
    }

    /// The changes since a version; none when that version is the newest.
    #[must_use]
    pub fn update(&self, have: Version) -> Option<MemberUpdate> {
        let (version, edits) = self.windows.news(have)?;
        Some(MemberUpdate {
            version,
            seq: self.seq,
            edits,
            more: self.total > self.len(),
            total: Count::from(self.total),
        })
    }

    /// Reads the list of a snapshot. The list of a conversation that is gone is empty.
    ///
    /// # Errors
    ///
    /// Those of reading: the view keeps its window.
    pub fn refresh(
        &mut self,
        snapshot: &Snapshot<'_>,
        conversation: ConversationNumber,
    ) -> Result<(), StoreError> {
        let stored = snapshot.shown_row(conversation)?;
        let mut rows = stored.map_or_else(Vec::new, |row| self.rows_of(snapshot, &row));
        let total = rows.len();
        rows.truncate(self.limit);
        let shown = Some((total, rows.len()));
        let rows = self
            .windows
            .shared(rows.into_iter().map(Arc::new).collect());
        if self.shown != shown || !self.windows.is_newest(&rows) {
            self.windows.push(rows);
        }
        self.seq = snapshot.seq();
        self.total = total;
        self.shown = shown;
        Ok(())
    }

    /// All rows of the group, in order.
    fn rows_of(&self, snapshot: &Snapshot<'_>, stored: &ConversationRow) -> Vec<MemberRow> {
        let (me, lists) = (snapshot.owner(), &stored.lists);
        let row = |client: &ClientId| MemberRow {
            client: client.clone(),
            role: lists.role_of(client, stored.creator.as_ref()),
            is_me: client == me,
            silenced: lists.silenced.contains(client),
            online: self.online.as_ref().and_then(|it| it.get(client).copied()),
        };
        let members = stored.members.iter().map(row);
        let mut rows: Vec<MemberRow> = match self.group {
            MemberGroup::Members => members.collect(),
            MemberGroup::Managers => members.filter(|it| it.role != MemberRole::Member).collect(),
            MemberGroup::Silenced => lists.silenced.iter().map(row).collect(),
            MemberGroup::Blocked => lists.blocked.iter().map(row).collect(),
        };
        rows.sort_by_key(|row| row.role);
        rows
    }
}
