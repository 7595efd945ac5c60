//! The newest events, which the inspector's page shows as they happen.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// Events that are kept for those who look; older ones are gone.
const EVENTS_MAX: usize = 500;

/// Characters of a text that are shown.
const TEXT_MAX: usize = 200;

/// Something that happened.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Event {
    /// Its number; each is one more than the one before.
    pub(super) number: u64,
    /// The time, in milliseconds since 1970.
    pub(super) at: i64,
    /// The kind of event.
    pub(super) what: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) conversation: Option<String>,
    /// Codes, sizes and counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) details: Option<String>,
    /// The beginning of the message; told only to a page that asks for texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
}

/// The newest events.
#[derive(Debug, Default)]
pub(super) struct Feed {
    events: Mutex<(u64, VecDeque<Event>)>,
}

impl Feed {
    /// Tells an event.
    pub(super) fn tell(&self, mut event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.0 += 1;
        event.number = events.0;
        if events.1.len() >= EVENTS_MAX {
            events.1.pop_front();
        }
        events.1.push_back(event);
    }

    /// The events behind a number, oldest first, and the number of the newest.
    pub(super) fn after(&self, number: u64, texts: bool) -> (u64, Vec<Event>) {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let new = events.1.iter().filter(|event| event.number > number);
        let mut new: Vec<Event> = new.cloned().collect();
        if !texts {
            new.iter_mut().for_each(|event| event.text = None);
        }
        (events.0, new)
    }
}

/// The beginning of a text.
pub(super) fn beginning(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
