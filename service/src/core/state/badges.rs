//! The numbers on the icons of devices that grew since they were last stored.
//!
//! A message to many clients increments many numbers. They are stored once a minute and not for each message,
//! so a client cannot cause many writes with few messages. A number that grew in the last minute is lost with
//! the process.

use std::collections::BTreeMap;

use sampan::model::AppId;

use crate::storage::Installation;

/// The most numbers that wait to be kept; those of further devices do not grow meanwhile.
const WAITING_MAX: usize = 50_000;

/// A device, by its app and its object id.
type Device = (AppId, String);

/// The numbers that wait to be kept.
#[derive(Debug, Default)]
pub(in crate::core) struct Badges(BTreeMap<Device, u32>);

impl Badges {
    /// The number of a device now.
    pub(in crate::core) fn of(&self, app: &AppId, row: &Installation) -> u32 {
        let grown = self.0.get(&(app.clone(), row.id.clone()));
        grown.copied().unwrap_or(row.badge)
    }

    /// Lets the number of a device grow by one; answers the number then.
    pub(in crate::core) fn grow(&mut self, app: &AppId, row: &Installation) -> u32 {
        let badge = self.of(app, row).saturating_add(1);
        let device = (app.clone(), row.id.clone());
        if self.0.len() < WAITING_MAX || self.0.contains_key(&device) {
            self.0.insert(device, badge);
        }
        badge
    }

    /// The number was set, or the device is gone.
    pub(in crate::core) fn forget(&mut self, app: &AppId, id: &str) {
        self.0.remove(&(app.clone(), id.to_owned()));
    }

    /// Takes some numbers, to keep them.
    pub(in crate::core) fn take(&mut self, limit: usize) -> impl Iterator<Item = (Device, u32)> {
        let rest = match self.0.keys().nth(limit).cloned() {
            Some(first) => self.0.split_off(&first),
            None => BTreeMap::new(),
        };
        std::mem::replace(&mut self.0, rest).into_iter()
    }

    /// True if no number waits.
    pub(in crate::core) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
