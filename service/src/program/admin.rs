//! Operations on sessions, clients and conversations of an app: the requests of an app's own servers, sent
//! through the socket in the data folder.

use std::io::Write as _;
use std::path::Path;

use sampan_service::core::app::App;
use serde_json::{Map, Value, json};

use super::apps::AppSources;
use super::arguments::{Admin, Errand};
use super::control;

/// Runs an errand; answers its result.
pub(crate) fn run(flags: Admin) -> Result<String, String> {
    let apps = AppSources::new(flags.apps, None).read()?;
    let is_meant = |app: &&App| {
        let id = app.credentials.id.as_str();
        flags.of.as_deref().is_none_or(|of| of == id)
    };
    let mut meant = apps.iter().filter(is_meant);
    let service = match (meant.next(), meant.next()) {
        (Some(app), None) => Asked::new(&flags.folder.data, app),
        (Some(_), Some(_)) => return Err("several apps are given: say which by --of ID".to_owned()),
        (None, _) => return Err("no such app is given, by --app or --app-file".to_owned()),
    };
    match flags.errand {
        Errand::Sessions { client } => service.sessions(client.as_deref()),
        Errand::Stats => service.ask("GET", "/1.2/rtm/stats", &Value::Null),
        Errand::Kick { client, reason } => {
            let path = format!("/1.2/rtm/clients/{}/kick", in_path(&client));
            service.ask("POST", &path, &json!({ "reason": reason }))
        }
        Errand::Bar {
            client,
            until,
            reason,
        } => {
            let path = format!("/1.2/rtm/clients/{}/bar", in_path(&client));
            service.ask("POST", &path, &json!({ "until": until, "reason": reason }))
        }
        Errand::Unbar { client } => {
            let path = format!("/1.2/rtm/clients/{}/bar", in_path(&client));
            service.ask("DELETE", &path, &Value::Null)
        }
        Errand::Revoke { client } => {
            let body = match client {
                Some(client) => json!({ "client_id": client }),
                None => json!({}),
            };
            service.ask("POST", "/1.2/rtm/tokens/revoke", &body)
        }
        Errand::DeleteConversation { id } => service.delete_conversation(&id),
        Errand::Erase { client } => service.erase(&client),
    }
    .map(|answer| answer.to_string())
}

/// The service, asked in the name of an app.
struct Asked<'a> {
    data: &'a Path,
    headers: String,
}

impl<'a> Asked<'a> {
    fn new(data: &'a Path, app: &App) -> Self {
        let (id, key) = (&app.credentials.id, app.credentials.master_key.expose());
        let headers = format!("X-LC-Id: {}\r\nX-LC-Key: {key},master\r\n", id.as_str());
        Self { data, headers }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        control::ask(self.data, method, path, &self.headers, body)
    }

    /// Prints each session on a line; answers how many there are.
    fn sessions(&self, client: Option<&str>) -> Result<Value, String> {
        let client = client.map(|client| format!("&client_id={}", in_path(client)));
        let client = client.unwrap_or_default();
        let (mut cursor, mut count) = (String::new(), 0);
        loop {
            let path = format!("/1.2/rtm/sessions?limit=1000{client}{cursor}");
            let page = self.ask("GET", &path, &Value::Null)?;
            for session in page
                .get("results")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                count += 1;
                // The reader may have read enough.
                let _ = writeln!(std::io::stdout(), "{session}");
            }
            match page.get("cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={}", in_path(next)),
                None => return Ok(json!({ "sessions": count })),
            }
        }
    }

    /// Finds the kind of a conversation by deleting it as each.
    fn delete_conversation(&self, id: &str) -> Result<Value, String> {
        let mut refused = String::new();
        for kind in ["conversations", "chatrooms", "service-conversations"] {
            let path = format!("/1.2/rtm/{kind}/{}", in_path(id));
            match self.ask("DELETE", &path, &Value::Null) {
                Ok(_) => return Ok(json!({ "deleted": id })),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    /// Erases part by part; answers the sum.
    fn erase(&self, client: &str) -> Result<Value, String> {
        let (mut cursor, mut sum) = (String::new(), Map::new());
        loop {
            let path = format!("/1.2/rtm/clients/{}/erase{cursor}", in_path(client));
            let part = self.ask("POST", &path, &Value::Null)?;
            for (what, count) in part.as_object().into_iter().flatten() {
                if let Some(count) = count.as_u64() {
                    let before = sum.get(what).and_then(Value::as_u64).unwrap_or_default();
                    sum.insert(what.clone(), json!(before + count));
                }
            }
            match part.get("cursor").and_then(Value::as_str) {
                Some(next) => cursor = format!("?cursor={}", in_path(next)),
                None => return Ok(Value::Object(sum)),
            }
        }
    }
}

/// A text as a part of a URL.
fn in_path(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
