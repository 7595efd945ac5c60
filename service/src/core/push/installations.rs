//! The devices that register themselves: kept where the app wants push, otherwise accepted and forgotten.
//!
//! A device belongs to the clients that signed in on it with its token or installation id, until they close
//! their session. The channels of a device name further clients, unless logins need a signature: otherwise
//! anybody could get another client's pushes by its name.

use std::collections::BTreeSet;

use sampan::model::{AppId, ClientId, Now};
use sampan::wire::iso;
use serde_json::{Map, Value, json};

use crate::core::exchange::refusal::Failure;
use crate::core::exchange::request::{InstallationCall, RestAnswer};
use crate::core::machine::Core;
use crate::storage::{DEVICE_CLIENTS_MAX, Installation, Storage, Write};

/// The most bytes of a name of an installation: a token, or an id of its own.
const NAME_MAX: usize = 512;

/// The most bytes of another text of an installation.
const TEXT_MAX: usize = 255;

/// The most channels of an installation.
const CHANNELS_MAX: usize = 64;

/// The most bytes of the names of all channels of an installation: a change writes them all.
const CHANNELS_BYTES_MAX: usize = 2_048;

/// The most characters of a channel's name, which stands for a client.
const CHANNEL_MAX: usize = 64;

impl<S: Storage> Core<S> {
    /// Answers a request about an installation.
    pub(in crate::core) async fn installation(
        &mut self,
        now: Now,
        app: &AppId,
        call: &InstallationCall,
    ) -> Result<RestAnswer, Failure> {
        if !self.settings_of(app).push.enabled {
            return Ok(self.forgotten(now, call));
        }
        match call {
            InstallationCall::Announce { body } => self.announce(now, app, body).await,
            InstallationCall::Change { id, body } => self.change_device(now, app, id, body).await,
            InstallationCall::Show { id } => {
                let Some(mut found) = self.storage.installation(app, id).await? else {
                    return Ok(missing());
                };
                found.badge = self.badges.of(app, &found);
                Ok(RestAnswer::ok(shown(&found)))
            }
        }
    }

    /// The answer where nothing is kept.
    fn forgotten(&mut self, now: Now, call: &InstallationCall) -> RestAnswer {
        let at = iso::format(now.wall);
        match call {
            InstallationCall::Announce { .. } => {
                created(json!({ "objectId": self.names.object(), "createdAt": at }))
            }
            InstallationCall::Change { id, .. } | InstallationCall::Show { id } => {
                RestAnswer::ok(json!({ "objectId": id, "updatedAt": at }))
            }
        }
    }

    /// A device that is known by its token or installation id keeps its object id.
    async fn announce(
        &mut self,
        now: Now,
        app: &AppId,
        body: &Value,
    ) -> Result<RestAnswer, Failure> {
        let mut named = None;
        for key in ["deviceToken", "installationId"] {
            let name = body.get(key).and_then(Value::as_str);
            if let (None, Some(name)) = (&named, name.filter(|it| it.len() <= NAME_MAX)) {
                named = self.storage.installation_named(app, name).await?;
            }
        }
        let mut row = named.unwrap_or_else(|| Installation {
            id: self.names.object(),
            created_at: now.wall,
            ..Installation::default()
        });
        row.badge = self.badges.of(app, &row);
        if let Err(refused) = change(&mut row, body) {
            return Ok(refused);
        }
        if row.names().next().is_none() {
            return Ok(bad("deviceToken or installationId is missing"));
        }
        let answer = json!({ "objectId": row.id, "createdAt": iso::format(row.created_at) });
        self.keep_installation(now, app, row).await?;
        Ok(created(answer))
    }

    async fn change_device(
        &mut self,
        now: Now,
        app: &AppId,
        id: &str,
        body: &Value,
    ) -> Result<RestAnswer, Failure> {
        let Some(mut row) = self.storage.installation(app, id).await? else {
            return Ok(missing());
        };
        row.badge = self.badges.of(app, &row);
        if let Err(refused) = change(&mut row, body) {
            return Ok(refused);
        }
        let answer = json!({ "objectId": id, "updatedAt": iso::format(now.wall) });
        self.keep_installation(now, app, row).await?;
        Ok(RestAnswer::ok(answer))
    }

    /// Keeps a device, and gives it to the clients that are signed in on it.
    async fn keep_installation(
        &mut self,
        now: Now,
        app: &AppId,
        mut row: Installation,
    ) -> Result<(), Failure> {
        let sessions = self.registry.sessions_of_app(app);
        self.meter.looked(sessions.len());
        for id in sessions {
            if row.clients.len() >= DEVICE_CLIENTS_MAX {
                break;
            }
            let device = self
                .registry
                .session(&id)
                .and_then(|it| it.device.as_deref());
            if device.is_some_and(|device| row.names().any(|name| name == device)) {
                row.clients.insert(id.client.to_string());
            }
        }
        row.updated_at = now.wall;
        self.badges.forget(app, &row.id);
        let write = Write::PutInstallation(app.clone(), Box::new(row));
        self.storage.apply(vec![write]).await?;
        Ok(())
    }

    /// Takes a client that is kept out or erased away from its devices.
    pub(in crate::core) async fn unbind_client(
        &mut self,
        app: &AppId,
        client: &ClientId,
    ) -> Result<(), Failure> {
        let devices = self.storage.installations_of(app, client, usize::MAX);
        for mut row in devices.await? {
            row.clients.remove(client.as_str());
            row.channels.remove(client.as_str());
            let write = Write::PutInstallation(app.clone(), Box::new(row));
            self.storage.apply(vec![write]).await?;
        }
        Ok(())
    }

    /// Notes that a client signed in on a device. The device may have announced itself before.
    pub(in crate::core) fn bound(
        &self,
        app: &AppId,
        client: &ClientId,
        device: Option<&str>,
    ) -> Option<Write> {
        let device = device.filter(|_| self.settings_of(app).push.enabled)?;
        Some(Write::BindInstallation(
            app.clone(),
            device.to_owned(),
            client.clone(),
        ))
    }
}

/// Takes over the fields of a body that describe a device.
fn change(row: &mut Installation, body: &Value) -> Result<(), RestAnswer> {
    let Value::Object(body) = body else {
        return Err(bad("the body is not a JSON object"));
    };
    for (key, field, max) in [
        ("deviceToken", &mut row.token, NAME_MAX),
        ("installationId", &mut row.device_id, NAME_MAX),
        ("apnsTopic", &mut row.topic, TEXT_MAX),
        ("apnsTeamId", &mut row.team, TEXT_MAX),
        ("deviceProfile", &mut row.profile, TEXT_MAX),
        ("vendor", &mut row.vendor, TEXT_MAX),
        ("timeZone", &mut row.time_zone, TEXT_MAX),
    ] {
        if let Some(value) = body.get(key) {
            *field = text(key, value, max)?;
        }
    }
    if let Some(value) = body.get("deviceType") {
        row.device_type = text("deviceType", value, TEXT_MAX)?.unwrap_or_default();
    }
    if let Some(badge) = body.get("badge") {
        let badge = badge.as_u64().and_then(|it| u32::try_from(it).ok());
        row.badge = badge.ok_or_else(|| bad("badge is not a number"))?;
    }
    if let Some(channels) = body.get("channels") {
        row.channels = changed(&row.channels, channels)?;
    }
    Ok(())
}

fn text(key: &str, value: &Value, max: usize) -> Result<Option<String>, RestAnswer> {
    match value {
        Value::Null => Ok(None),
        Value::Object(operation) if is_delete(operation) => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) if text.len() <= max => Ok(Some(text.clone())),
        _ => Err(bad(&format!("{key} is a text of at most {max} bytes"))),
    }
}

fn is_delete(operation: &Map<String, Value>) -> bool {
    operation.get("__op").and_then(Value::as_str) == Some("Delete")
}

/// The channels of a device after a request set them, or added or removed some.
fn changed(before: &BTreeSet<String>, value: &Value) -> Result<BTreeSet<String>, RestAnswer> {
    let why = "channels are at most 64 texts of at most 64 characters, and of 2048 bytes together";
    let texts = |list: &Value| -> Result<BTreeSet<String>, RestAnswer> {
        let list = list.as_array().ok_or_else(|| bad(why))?;
        let text = |it: &Value| it.as_str().map(str::to_owned).ok_or_else(|| bad(why));
        list.iter().map(text).collect()
    };
    let channels: BTreeSet<String> = match value {
        Value::Null => BTreeSet::new(),
        Value::Object(operation) if is_delete(operation) => BTreeSet::new(),
        Value::Object(operation) => {
            let named = texts(operation.get("objects").unwrap_or(&Value::Null))?;
            match operation.get("__op").and_then(Value::as_str) {
                Some("Add" | "AddUnique") => before.union(&named).cloned().collect(),
                Some("Remove") => before.difference(&named).cloned().collect(),
                _ => return Err(bad("the operation on channels is unknown")),
            }
        }
        list => texts(list)?,
    };
    let fits = |name: &String| !name.is_empty() && name.chars().count() <= CHANNEL_MAX;
    let bytes: usize = channels.iter().map(String::len).sum();
    let are_few = channels.len() <= CHANNELS_MAX && bytes <= CHANNELS_BYTES_MAX;
    match are_few && channels.iter().all(fits) {
        true => Ok(channels),
        false => Err(bad(why)),
    }
}

/// A device in the form of the HTTP interface.
fn shown(row: &Installation) -> Value {
    json!({
        "objectId": row.id,
        "deviceType": row.device_type,
        "deviceToken": row.token,
        "installationId": row.device_id,
        "apnsTopic": row.topic,
        "apnsTeamId": row.team,
        "deviceProfile": row.profile,
        "vendor": row.vendor,
        "timeZone": row.time_zone,
        "badge": row.badge,
        "channels": row.subscribed(),
        "createdAt": iso::format(row.created_at),
        "updatedAt": iso::format(row.updated_at),
    })
}

fn created(body: Value) -> RestAnswer {
    RestAnswer { status: 201, body }
}

fn missing() -> RestAnswer {
    RestAnswer::refused(404, 101, "there is no such installation")
}

fn bad(why: &str) -> RestAnswer {
    RestAnswer::refused(400, 1, why)
}
