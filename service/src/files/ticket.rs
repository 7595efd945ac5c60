//! [`Ticket`]: the permission to upload one file.
//!
//! A ticket holds all facts about the file and is signed with a key that is made of the app's master key. The
//! service therefore keeps nothing for an upload that never comes, and a restart forgets no upload that is to
//! come.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan::model::Timestamp;
use sampan::wire::signature::hmac_sha1_hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::name::{AppFolder, FileId};
use crate::core::app::{App, Secret};

/// The key that signs tickets is made of this text and the master key.
const TICKET_KEY: &str = "uploads of files";

/// The time within which an upload must begin, in milliseconds.
const LIFE_MILLIS: i64 = 6 * 60 * 60 * 1000;

/// The permission to upload one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The folder of the app.
    pub app: AppFolder,
    /// The id of the file.
    pub id: FileId,
    /// The name that it has on the device.
    pub name: String,
    /// The last part of its URL.
    pub key: String,
    /// Its content type.
    pub mime_type: String,
    /// The data that the app gives with the file.
    pub meta: Map<String, Value>,
    /// The time at which it was asked for, in milliseconds.
    pub at: i64,
}

/// The reason for which a ticket is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The ticket was not made here, or was made with another master key.
    #[error("this upload was not asked for")]
    Unknown,
    /// The ticket is too old.
    #[error("this upload was asked for too long ago")]
    Late,
}

impl Ticket {
    /// The ticket as a text that fits into a URL.
    #[must_use]
    pub fn seal(&self, master_key: &Secret) -> String {
        // Plain fields with texts as keys always become JSON.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let body = URL_SAFE_NO_PAD.encode(json);
        let sign = sign(master_key, &body);
        format!("{body}.{sign}")
    }

    /// Reads a ticket; `app_of` finds the app of a folder.
    ///
    /// # Errors
    ///
    /// [`TicketError`] tells why the ticket is refused.
    pub fn open<'a>(
        text: &str,
        now: Timestamp,
        app_of: impl FnOnce(AppFolder) -> Option<&'a App>,
    ) -> Result<Self, TicketError> {
        let (body, signed) = text.split_once('.').ok_or(TicketError::Unknown)?;
        let json = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| TicketError::Unknown)?;
        let ticket: Self = serde_json::from_slice(&json).map_err(|_| TicketError::Unknown)?;
        let app = app_of(ticket.app).ok_or(TicketError::Unknown)?;
        let expected = sign(&app.credentials.master_key, body);
        if !bool::from(expected.as_bytes().ct_eq(signed.as_bytes())) {
            return Err(TicketError::Unknown);
        }
        let age = now.as_millis().saturating_sub(ticket.at);
        match age <= LIFE_MILLIS {
            true => Ok(ticket),
            false => Err(TicketError::Late),
        }
    }
}

fn sign(master_key: &Secret, body: &str) -> String {
    let key = hmac_sha1_hex(master_key.expose(), TICKET_KEY);
    hmac_sha1_hex(&key, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::app::Apps;

    fn apps(text: &str) -> Apps {
        Apps::new([text.parse().unwrap()], std::collections::BTreeMap::new()).unwrap()
    }

    #[test]
    fn a_ticket_is_taken_for_six_hours_by_its_app_and_unchanged() {
        let apps = apps("app:key:master");
        let app = apps.find("app").unwrap();
        let ticket = Ticket {
            app: AppFolder::of(&app.credentials.id),
            id: FileId::from_random([1; 12]),
            name: "a.png".to_owned(),
            key: "a.png".to_owned(),
            mime_type: "image/png".to_owned(),
            meta: Map::new(),
            at: 1_000,
        };
        let sealed = ticket.seal(&app.credentials.master_key);
        let at = Timestamp::from_millis;
        let open = |text: &str, now| Ticket::open(text, now, |_| Some(app));
        assert_eq!(open(&sealed, at(1_000 + LIFE_MILLIS)), Ok(ticket.clone()));
        assert_eq!(
            open(&sealed, at(1_001 + LIFE_MILLIS)),
            Err(TicketError::Late)
        );
        let other = Ticket {
            id: FileId::from_random([2; 12]),
            ..ticket
        };
        let (body, _) = other
            .seal(&Secret::new("guess"))
            .split_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let (_, sign) = sealed.split_once('.').unwrap();
        for text in [
            format!("{body}.{sign}"),
            other.seal(&Secret::new("guess")),
            String::new(),
            "a.b".to_owned(),
        ] {
            assert_eq!(open(&text, at(1_000)), Err(TicketError::Unknown), "{text}");
        }
    }
}
