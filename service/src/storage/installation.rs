//! The rows of devices that get pushes: the device, and the rows that find it by a name or a client.
//!
//! The clients of a device and the number on its icon have rows of their own: they change often, and a change
//! of one writes none of the others.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId};

use super::StorageError;
use super::codec::encode;
use super::key::{self, Parts};
use super::keyed::{DAMAGED_ID, Keyed, Map};
use super::record::Installation;

/// The most clients that one device is pushed messages of, beside its channels. One more takes the place of another.
pub(crate) const DEVICE_CLIENTS_MAX: usize = 16;

impl<M: Map> Keyed<M> {
    /// The device with this token or id of its own.
    pub(super) fn device_named(
        &self,
        app: &AppId,
        name: &str,
    ) -> Result<Option<Installation>, StorageError> {
        match self.device_id_named(app, name)? {
            Some(id) => self.device_row(app, &id),
            None => Ok(None),
        }
    }

    fn device_id_named(&self, app: &AppId, name: &str) -> Result<Option<String>, StorageError> {
        let id = self.get(&key::installation_name(app, name))?;
        let id = id.map(|id| String::from_utf8(id).map_err(|_| DAMAGED_ID));
        id.transpose()
    }

    /// The device with this object id.
    pub(super) fn device_row(
        &self,
        app: &AppId,
        id: &str,
    ) -> Result<Option<Installation>, StorageError> {
        let Some(mut row) = self.record::<Installation>(&key::installation(app, id))? else {
            return Ok(None);
        };
        row.clients.extend(self.clients_on(app, id)?);
        if let Some(badge) = self.get(&key::badge(app, id))? {
            let badge = badge.try_into().map_err(|_| DAMAGED_ID)?;
            row.badge = u32::from_be_bytes(badge);
        }
        Ok(Some(row))
    }

    /// The clients that have a row of their own on a device.
    fn clients_on(&self, app: &AppId, id: &str) -> Result<BTreeSet<String>, StorageError> {
        let prefix = key::device_clients(app, id);
        let rows = self.under(&prefix, usize::MAX)?;
        let client =
            |(row, _): &(Vec<u8>, Vec<u8>)| Ok(Parts::after(row, prefix.len())?.rest()?.to_owned());
        rows.iter().map(client).collect()
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
            devices.extend(self.device_row(app, id)?);
        }
        Ok(devices)
    }

    /// Adds or replaces a device. A name that another device had is this one's from now on: so an address is
    /// pushed to once. Rows that stay as they are are not written.
    pub(super) fn put_installation(
        &mut self,
        app: &AppId,
        row: &Installation,
    ) -> Result<(), StorageError> {
        for name in row.names() {
            let other = self.device_id_named(app, name)?;
            if let Some(other) = other.filter(|other| *other != row.id) {
                self.drop_installation(app, &other)?;
            }
        }
        let before = self.device_row(app, &row.id)?.unwrap_or_default();
        let clients_before = self.clients_on(app, &row.id)?;
        let names: BTreeSet<&str> = row.names().collect();
        let names_before: BTreeSet<&str> = before.names().collect();
        for name in names_before.difference(&names) {
            self.drop_row(key::installation_name(app, name));
        }
        for name in names.difference(&names_before) {
            let id = row.id.clone().into_bytes();
            self.put(key::installation_name(app, name), id);
        }
        let (found, found_before) = (row.subscribed(), before.subscribed());
        for client in found_before.difference(&found) {
            self.drop_row(key::device(app, client, &row.id));
        }
        for client in found.difference(&found_before) {
            self.put(key::device(app, client, &row.id), Vec::new());
        }
        for client in clients_before.difference(&row.clients) {
            self.drop_row(key::device_client(app, &row.id, client));
        }
        for client in row.clients.difference(&clients_before) {
            self.put(key::device_client(app, &row.id, client), Vec::new());
        }
        if row.badge != before.badge {
            self.put_badge(app, &row.id, row.badge);
        }
        self.put(key::installation(app, &row.id), encode(row)?);
        Ok(())
    }

    /// Sets the number on the icon of a device that is there.
    pub(super) fn set_badge(
        &mut self,
        app: &AppId,
        id: &str,
        badge: u32,
    ) -> Result<(), StorageError> {
        if self.get(&key::installation(app, id))?.is_some() {
            self.put_badge(app, id, badge);
        }
        Ok(())
    }

    fn put_badge(&mut self, app: &AppId, id: &str, badge: u32) {
        self.put(key::badge(app, id), badge.to_be_bytes().to_vec());
    }

    /// A client signed in on the device with this name, where that is known.
    pub(super) fn bind(
        &mut self,
        app: &AppId,
        name: &str,
        client: &str,
    ) -> Result<(), StorageError> {
        let Some(id) = self.device_id_named(app, name)? else {
            return Ok(());
        };
        let there = self.clients_on(app, &id)?;
        if there.contains(client) {
            return Ok(());
        }
        if there.len() >= DEVICE_CLIENTS_MAX
            && let Some(other) = there.first()
        {
            self.unbind_from(app, &id, other)?;
        }
        self.put(key::device_client(app, &id, client), Vec::new());
        self.put(key::device(app, client, &id), Vec::new());
        Ok(())
    }

    /// A client signed out on the device with this name.
    pub(super) fn unbind(
        &mut self,
        app: &AppId,
        name: &str,
        client: &str,
    ) -> Result<(), StorageError> {
        match self.device_id_named(app, name)? {
            Some(id) => self.unbind_from(app, &id, client),
            None => Ok(()),
        }
    }

    fn unbind_from(&mut self, app: &AppId, id: &str, client: &str) -> Result<(), StorageError> {
        let Some(mut row) = self.record::<Installation>(&key::installation(app, id))? else {
            return Ok(());
        };
        if row.clients.contains(client) {
            // An earlier build kept the clients in the record itself.
            row.clients.extend(self.clients_on(app, id)?);
            row.clients.remove(client);
            return self.put_installation(app, &row);
        }
        if self.get(&key::device_client(app, id, client))?.is_none() {
            return Ok(());
        }
        self.drop_row(key::device_client(app, id, client));
        if !row.channels.contains(client) {
            self.drop_row(key::device(app, client, id));
        }
        Ok(())
    }

    pub(super) fn drop_installation(&mut self, app: &AppId, id: &str) -> Result<(), StorageError> {
        let Some(row) = self.device_row(app, id)? else {
            return Ok(());
        };
        for name in row.names() {
            self.drop_row(key::installation_name(app, name));
        }
        for client in row.subscribed() {
            self.drop_row(key::device(app, client, id));
        }
        self.drop_under(&key::device_clients(app, id))?;
        self.drop_row(key::badge(app, id));
        self.drop_row(key::installation(app, id));
        Ok(())
    }
}
