//! The view: the order of all conversations that match, and the rows of the window.
//!
//! A commit names the conversations that it touched. The view reads only these again, whatever the number of
//! conversations.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{ClientId, CommitSeq, ConversationKey, Count, Timestamp};
use crate::store::{ConversationNumber, ConversationRow as StoredRow, Snapshot, StoreError};
use crate::views::delivery::Reach;
use crate::views::edits::widen;
use crate::views::query::QueryTest;
use crate::views::{Typing, Version, Windows};

use super::{ConversationFilter, ConversationOrder, ConversationRow, ListOptions, ListUpdate};

/// The most rows of a first window, and the most that come with one load.
const PAGE_MAX: u32 = 500;

/// The conversations that changed since a view was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dirty {
    /// These conversations.
    These(BTreeSet<ConversationNumber>),
    /// Any of them.
    #[default]
    Everything,
}

/// A view of a client's conversations.
#[derive(Debug)]
pub struct ListView {
    filter: Option<ConversationFilter>,
    /// The conditions of queries in the filter.
    tests: Vec<QueryTest>,
    order: ConversationOrder,
    /// The most rows of the window.
    limit: usize,
    /// All conversations that match, in order.
    order_of_all: BTreeSet<Place>,
    /// The place of each of them.
    places: BTreeMap<ConversationNumber, Place>,
    windows: Windows<Arc<ConversationRow>>,
    more: bool,
    seq: Option<CommitSeq>,
    reach: Reach,
    typing: Arc<Typing>,
}

/// The place of a conversation in the order; the least is on top.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// True if it is not pinned.
    is_below: bool,
    group: u8,
    name: String,
    created_at: Reverse<Timestamp>,
    active_at: Reverse<Timestamp>,
    number: Reverse<ConversationNumber>,
}

impl ListView {
    /// A view without a window. [`ListOptions::check`] checks the filter; a condition that can't be used
    /// matches nothing.
    #[must_use]
    pub fn new(options: ListOptions) -> Self {
        let mut tests = Vec::new();
        if let Some(filter) = &options.filter
            && filter.tests(&mut tests).is_err()
        {
            tests.clear();
        }
        Self {
            filter: options.filter,
            tests,
            order: options.order.unwrap_or_default(),
            limit: widen(options.page.clamp(1, PAGE_MAX)),
            order_of_all: BTreeSet::new(),
            places: BTreeMap::new(),
            windows: Windows::default(),
            more: false,
            seq: None,
            reach: Reach::Offline,
            typing: Arc::default(),
        }
    }

    /// Changes the filter or the order: a reset follows.
    pub fn show(&mut self, options: ListOptions) {
        let windows = std::mem::take(&mut self.windows);
        let typing = Arc::clone(&self.typing);
        *self = Self::new(options);
        self.windows = windows;
        self.typing = typing;
        self.windows.forget_all();
    }

    /// Makes the window larger by so many rows, as far as there are more.
    pub fn grow(&mut self, limit: u32) {
        let limit = widen(limit.clamp(1, PAGE_MAX));
        self.limit = self.limit.min(self.places.len()).saturating_add(limit);
        self.seq = None;
    }

    /// Notes the clients that type.
    pub fn set_typing(&mut self, typing: Arc<Typing>) {
        if self.typing != typing {
            self.typing = typing;
            self.seq = None;
        }
    }

    /// The rows of the window.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.newest().len()
    }

    /// True if the window has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.windows.newest().is_empty()
    }

    /// True if the view shows the store's present content and the given connection of the client.
    #[must_use]
    pub fn is_fresh(&self, seq: CommitSeq, reach: Reach) -> bool {
        self.seq == Some(seq) && self.reach == reach
    }

    /// The changes since a version; none when that version is the newest.
    #[must_use]
    pub fn update(&self, have: Version) -> Option<ListUpdate> {
        let (version, edits) = self.windows.news(have)?;
        Some(ListUpdate {
            version,
            seq: self.seq.unwrap_or_default(),
            edits,
            more: self.more,
            total: Count::from(self.places.len()),
        })
    }

    /// Reads the window of a snapshot. `dirty` has at least the conversations that changed since the last
    /// reading.
    ///
    /// # Errors
    ///
    /// Those of reading: the next reading is of everything.
    pub fn refresh(
        &mut self,
        snapshot: &Snapshot<'_>,
        dirty: &Dirty,
        reach: Reach,
    ) -> Result<(), StoreError> {
        let total = self.places.len();
        let is_first = self.places.is_empty();
        self.seq = None;
        let touched = match dirty {
            Dirty::These(numbers) if !is_first => Some(numbers),
            Dirty::These(_) | Dirty::Everything => None,
        };
        match touched {
            Some(numbers) => {
                for number in numbers {
                    self.place(snapshot, *number)?;
                }
            }
            None => self.place_all(snapshot)?,
        }
        let is_reached = self.reach == reach;
        let rows = self.rows(snapshot, touched.filter(|_| is_reached), reach)?;
        let more = rows.len() < self.places.len();
        let is_same = self.windows.version() != Version::NONE
            && more == self.more
            && total == self.places.len()
            && self.windows.is_newest(&rows);
        if !is_same {
            self.windows.push(rows);
        }
        self.more = more;
        self.reach = reach;
        self.seq = Some(snapshot.seq());
        Ok(())
    }

    fn place_all(&mut self, snapshot: &Snapshot<'_>) -> Result<(), StoreError> {
        self.places.clear();
        self.order_of_all.clear();
        for number in snapshot.listed() {
            self.place(snapshot, number)?;
        }
        Ok(())
    }

    /// Puts a conversation at its present place.
    fn place(
        &mut self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
    ) -> Result<(), StoreError> {
        if let Some(place) = self.places.remove(&number) {
            self.order_of_all.remove(&place);
        }
        if let Some(place) = self.place_of(snapshot, number)? {
            self.order_of_all.insert(place.clone());
            self.places.insert(number, place);
        }
        Ok(())
    }

    /// The place of a conversation; none if it does not match.
    fn place_of(
        &self,
        snapshot: &Snapshot<'_>,
        number: ConversationNumber,
    ) -> Result<Option<Place>, StoreError> {
        let Some(active_at) = snapshot.activity(number) else {
            return Ok(None);
        };
        let place = Place {
            is_below: true,
            group: 0,
            name: String::new(),
            created_at: Reverse(Timestamp::ZERO),
            active_at: Reverse(active_at),
            number: Reverse(number),
        };
        let is_placed = snapshot.unread_totals().placed > 0;
        if self.filter.is_none() && self.order == ConversationOrder::Activity && !is_placed {
            // The commonest list needs no row for the place.
            return Ok(Some(place));
        }
        let Some(row) = snapshot.shown_row(number)? else {
            return Ok(None);
        };
        let filter = self.filter.as_ref();
        if filter.is_some_and(|filter| !filter.fits(snapshot, number, &row, &self.tests)) {
            return Ok(None);
        }
        let shows_hidden = filter.is_some_and(ConversationFilter::names_hidden);
        if row.is_hidden() && !shows_hidden {
            return Ok(None);
        }
        let place = Place {
            is_below: !row.pinned,
            ..place
        };
        Ok(Some(self.ordered(place, &row)))
    }

    fn ordered(&self, place: Place, row: &StoredRow) -> Place {
        match self.order {
            ConversationOrder::Activity => place,
            ConversationOrder::UnreadFirst => Place {
                group: u8::from(row.unread.is_none()),
                ..place
            },
            ConversationOrder::Name => Place {
                group: u8::from(row.name.is_none()),
                name: row.name.as_deref().unwrap_or_default().to_lowercase(),
                ..place
            },
            ConversationOrder::Created => Place {
                group: u8::from(row.created_at.is_some()),
                created_at: Reverse(row.created_at.unwrap_or_default()),
                ..place
            },
        }
    }

    /// The rows of the window; untouched rows are reused.
    fn rows(
        &self,
        snapshot: &Snapshot<'_>,
        touched: Option<&BTreeSet<ConversationNumber>>,
        reach: Reach,
    ) -> Result<Vec<Arc<ConversationRow>>, StoreError> {
        let before = self.windows.newest().iter();
        let before: HashMap<_, _> = before.map(|row| (row.key, row)).collect();
        let mut rows = Vec::with_capacity(self.limit.min(self.order_of_all.len()));
        for place in self.order_of_all.iter().take(self.limit) {
            let number = place.number.0;
            let known = before.get(&ConversationKey(number.0.into()));
            let is_known = touched.is_some_and(|touched| !touched.contains(&number));
            let typing = self.typing.get(&number).map(Vec::as_slice);
            let typing = typing.unwrap_or_default();
            if let (Some(row), true) = (known, is_known) {
                rows.push(with_typing(row, typing));
                continue;
            }
            // A conversation with a damaged row is not shown.
            let Some(stored) = snapshot.shown_row(number)? else {
                continue;
            };
            let row = ConversationRow {
                typing: typing.to_vec(),
                ..ConversationRow::read(snapshot, number, &stored, reach)?
            };
            rows.push(match known {
                Some(known) if ***known == row => Arc::clone(known),
                _ => Arc::new(row),
            });
        }
        Ok(rows)
    }
}

/// A row with the clients that type there; the same row if nothing changed.
fn with_typing(row: &Arc<ConversationRow>, typing: &[ClientId]) -> Arc<ConversationRow> {
    if row.typing == typing {
        return Arc::clone(row);
    }
    Arc::new(ConversationRow {
        typing: typing.to_vec(),
        ..(**row).clone()
    })
}
