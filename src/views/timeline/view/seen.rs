//! The items on the screen: they are read, and missing history there is wanted.

use crate::model::ItemKey;

use super::super::Anchor;
use super::super::loads::Side;
use super::super::reading::Beyond;
use super::{Phase, TimelineView};

impl TimelineView {
    /// Notes which items are on the screen: missing history there is wanted, and the messages count as seen. Keys
    /// that the window does not hold are ignored.
    pub fn see(&mut self, first: &ItemKey, last: &ItemKey) {
        let items = self.windows.newest();
        let at = |key: &ItemKey| items.iter().position(|item| item.key == *key);
        let (Some(first_at), Some(last_at)) = (at(first), at(last)) else {
            return;
        };
        let (low, high) = (first_at.min(last_at), first_at.max(last_at));
        let keys = (items.get(low), items.get(high));
        if let (Some(low), Some(high)) = keys {
            self.seen = Some((low.key.clone(), high.key.clone()));
        }
        if self.options.read_visible {
            let seen = items.iter().take(high.saturating_add(1)).skip(low);
            let others = seen
                .filter_map(|item| item.message())
                .filter(|it| !it.is_own);
            let newest = others.map(|message| message.sent_at).max();
            if newest > self.read.until {
                self.read.wanted = self.read.wanted.max(newest);
            }
        }
        self.want_seen();
        self.show_again();
    }

    /// Wants missing history within, or next to, the items that are seen.
    pub(super) fn want_seen(&mut self) {
        let is_missing = matches!(self.older, Beyond::Missing { .. });
        let is_open = matches!(self.phase, Phase::Open);
        if is_open && is_missing && self.options.fill_visible && self.windows.newest().is_empty() {
            // The screen shows nothing but that something is missing.
            if self.loads.begin_seen(Side::Older, self.page()) {
                self.show_again();
            }
            return;
        }
        let Some((first, last)) = self.seen.clone().filter(|_| self.options.fill_visible) else {
            return;
        };
        let items = self.windows.newest();
        let at = |key: &ItemKey| items.iter().position(|item| item.key == *key);
        let (Some(first), Some(last)) = (at(&first), at(&last)) else {
            return;
        };
        let mut sides = Vec::new();
        if first == 0 && matches!(self.older, Beyond::Missing { .. }) {
            sides.push(Side::Older);
        }
        if last.saturating_add(1) >= items.len() && matches!(self.newer, Beyond::Missing { .. }) {
            sides.push(Side::Newer);
        }
        let near = items
            .iter()
            .take(last.saturating_add(2))
            .skip(first.saturating_sub(1));
        sides.extend(near.filter_map(|item| match item.key {
            ItemKey::Gap(key) if self.gaps.gap(key).is_some() => Some(Side::Gap(key)),
            _ => None,
        }));
        let page = self.page();
        let mut is_new = false;
        for side in sides {
            is_new |= self.loads.begin_seen(side, page);
        }
        if is_new {
            self.show_again();
        }
    }

    /// True if the user looks at the older half of the window.
    pub(super) fn looks_at_older(&self) -> bool {
        let items = self.windows.newest();
        let at = |key: &ItemKey| items.iter().position(|item| item.key == *key);
        let seen = self.seen.as_ref().and_then(|(first, last)| {
            let (first, last) = (at(first)?, at(last)?);
            Some((first, items.len().saturating_sub(last.saturating_add(1))))
        });
        seen.is_some_and(|(above, below)| above < below)
    }

    /// True if missing history is filled from its older end: the user looks at what is before it, or was led there.
    pub(super) fn fills_forward(&self, gap: u64) -> bool {
        let items = self.windows.newest();
        let at = |key: &ItemKey| items.iter().position(|item| item.key == *key);
        let Some(gap) = at(&ItemKey::Gap(gap)) else {
            return false;
        };
        let seen = self
            .seen
            .as_ref()
            .and_then(|(first, last)| Some((at(first)?, at(last)?)));
        match (seen, &self.anchor) {
            (Some((_, last)), _) if last <= gap => true,
            (Some((first, _)), _) if first >= gap => false,
            (_, Anchor::At { key, .. }) => at(key).is_some_and(|anchor| anchor < gap),
            _ => false,
        }
    }

    /// The distance of a load from the item that the user looks for: of several that can be done, the nearest is done
    /// first. The item that the window begins at comes before all, then gaps, the newest first but in a window that
    /// was begun at an item, where the nearest to the item comes first.
    pub(super) fn distance(&self, side: Side) -> usize {
        let items = self.windows.newest();
        let at = |key: &ItemKey| items.iter().position(|item| item.key == *key);
        match side {
            Side::Start => 0,
            Side::Gap(key) => {
                let gap = at(&ItemKey::Gap(key)).unwrap_or(items.len());
                let anchor = match &self.anchor {
                    Anchor::At { key, .. } => at(key),
                    _ => None,
                };
                let from = anchor.unwrap_or(items.len());
                from.abs_diff(gap).saturating_add(1)
            }
            Side::Newer => items.len().saturating_add(2),
            Side::Older => items.len().saturating_add(3),
        }
    }
}
