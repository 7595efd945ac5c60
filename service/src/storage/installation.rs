//! The rows of devices that can be pushed to: the device, and the rows that find it by a name or a client.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId};

use super::StorageError;
use super::codec::encode;
use super::key::{self, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map};
use super::record::Installation;

impl<M: Map> Keyed<M> {
    /// The device with this token or id of its own.
    pub(super) fn device_named(
        &self,
        app: &AppId,
        name: &str,
    ) -> Result<Option<Installation>, StorageError> {
        let Some(id) = self.get(&key::installation_name(app, name))? else {
            return Ok(None);
        };
        let id = String::from_utf8(id).map_err(|_| DAMAGED_ID)?;
        self.record(&key::installation(app, &id))
    }

    /// The devices that are pushed the messages of a client.
    pub(super) fn devices_of(
        &self,
        app: &AppId,
        client: &ClientId,
        limit: usize,
    ) -> Result<Vec<Installation>, StorageError> {
        let prefix = key::devices(app, client.as_str());
        let mut devices = Vec::new();
        for (row, _) in self.under(&prefix, limit)? {
            let id = Parts::after(&row, prefix.len())?.rest()?;
            devices.extend(self.record(&key::installation(app, id))?);
        }
        Ok(devices)
    }

    /// Adds or replaces a device. A name that another device had is this one's from now on: so an address is
    /// pushed to once.
    pub(super) fn put_installation(
        &mut self,
        app: &AppId,
        row: &Installation,
    ) -> Result<(), StorageError> {
        for name in row.names() {
            let other = self.device_named(app, name)?;
            if let Some(other) = other.filter(|other| other.id != row.id) {
                self.drop_installation(app, &other.id)?;
            }
        }
        self.drop_installation(app, &row.id)?;
        for name in row.names() {
            self.put(
                key::installation_name(app, name),
                row.id.clone().into_bytes(),
            );
        }
        for client in row.subscribed() {
            self.put(key::device(app, client, &row.id), Vec::new());
        }
        self.put(key::installation(app, &row.id), encode(row)?);
        Ok(())
    }

    /// Changes whose device this is, where it is known.
    pub(super) fn bind(
        &mut self,
        app: &AppId,
        name: &str,
        change: impl FnOnce(&mut BTreeSet<String>) -> bool,
    ) -> Result<(), StorageError> {
        let Some(mut row) = self.device_named(app, name)? else {
            return Ok(());
        };
        match change(&mut row.clients) {
            true => self.put_installation(app, &row),
            false => Ok(()),
        }
    }

    pub(super) fn drop_installation(&mut self, app: &AppId, id: &str) -> Result<(), StorageError> {
        let Some(row) = self.record::<Installation>(&key::installation(app, id))? else {
            return Ok(());
        };
        for name in row.names() {
            self.drop_row(key::installation_name(app, name));
        }
        for client in row.subscribed() {
            self.drop_row(key::device(app, client, id));
        }
        self.drop_row(key::installation(app, id));
        Ok(())
    }
}
