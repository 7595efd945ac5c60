//! The start and the direction of a page of history.

use crate::model::Timestamp;
use crate::store::Position;
use crate::wire::request::{HistoryDirection, HistoryFrom};

/// The start of a page. The page goes back in time, except for the last two.
#[derive(Clone, Debug)]
pub(super) enum PageStart {
    /// At the present.
    Newest,
    /// At this message, which is part of the page.
    At(Position),
    /// Before the time of this message: a whole page had its time.
    Before(Position),
    /// At this message, which is part of the page, going forward.
    After(Position),
    /// After the time of this message, going forward: a whole page had its time.
    AfterTime(Position),
}

impl PageStart {
    /// The message where the page starts.
    pub(super) const fn position(&self) -> Option<&Position> {
        match self {
            Self::Newest => None,
            Self::At(position)
            | Self::Before(position)
            | Self::After(position)
            | Self::AfterTime(position) => Some(position),
        }
    }

    /// True if the page goes forward in time.
    pub(super) const fn goes_forward(&self) -> bool {
        matches!(self, Self::After(_) | Self::AfterTime(_))
    }

    /// The start of the page after one whose messages all have the time of its start.
    pub(super) fn past_its_time(&self) -> Option<Self> {
        match self {
            Self::At(position) => Some(Self::Before(position.clone())),
            Self::After(position) => Some(Self::AfterTime(position.clone())),
            Self::Newest | Self::Before(_) | Self::AfterTime(_) => None,
        }
    }

    /// The start of the next page.
    pub(super) fn next(&self, furthest: Position) -> Self {
        if self.goes_forward() {
            Self::After(furthest)
        } else {
            Self::At(furthest)
        }
    }

    /// The question for the page.
    pub(super) fn asked(&self) -> (HistoryFrom<'_>, HistoryDirection) {
        let from = match self {
            Self::Newest => HistoryFrom::Newest,
            Self::At(position) | Self::After(position) => {
                HistoryFrom::At(position.sent_at, &position.id)
            }
            Self::Before(position) => HistoryFrom::Time(position.sent_at),
            Self::AfterTime(position) => HistoryFrom::Time(just_after(position.sent_at)),
        };
        let direction = if self.goes_forward() {
            HistoryDirection::Newer
        } else {
            HistoryDirection::Older
        };
        (from, direction)
    }
}

/// The next time that is told apart.
const fn just_after(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().saturating_add(1))
}
