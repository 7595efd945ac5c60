//! The settings of an app, and the limits that they set.
//!
//! The settings of all apps are one JSON file, by app id. Every key is optional and has the default that stands
//! at its field. A key that does not exist is an error, so a typing error is reported at the start:
//!
//! ```json
//! {
//!   "myApp": {
//!     "signatures": { "login": true },
//!     "features": { "recall": false },
//!     "limits": { "members": 2000 },
//!     "retention": { "messages_days": 180 }
//!   }
//! }
//! ```
//!
//! The format is JSON because the service reads JSON anyway, so there is no second format to learn or to link.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::file_settings::FileSettings;
use super::hook_settings::{Hooks, MaskedWords};
use super::push_settings::PushSettings;
use super::range::{Range, range};
use super::rates::Rates;
use crate::core::exchange::hook_call::HookName;

const SECONDS_A_DAY: u64 = 86_400;
const SECONDS_AN_HOUR: u64 = 3600;
const YEAR: u64 = 365 * SECONDS_A_DAY;

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The file is not JSON, or has a key or a type that does not belong there.
    #[error("the settings cannot be read: {0}")]
    Malformed(String),
    /// A number is out of its range.
    #[error("the settings of app {app}: {key} must be from {min} to {max}, got {actual}")]
    OutOfRange {
        /// The app.
        app: String,
        /// The setting, as a dotted path.
        key: &'static str,
        /// The least it may be.
        min: u64,
        /// The most it may be.
        max: u64,
        /// The value that was given.
        actual: u64,
    },
}

/// The settings of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which operations need a signature of the app's own server.
    pub signatures: Signatures,
    /// The operations that members may do.
    pub features: Features,
    /// How much of everything there may be.
    pub limits: Limits,
    /// How much may be asked for in a minute.
    pub rates: Rates,
    /// How long things are kept.
    pub retention: Retention,
    /// Push to sleeping devices: its payload, and the vendors.
    pub push: PushSettings,
    /// The limits of uploads by clients.
    pub files: FileSettings,
    /// The functions of the app's own server that are asked and told.
    pub hooks: Hooks,
    /// The web origins whose pages may open sessions, such as `https://chat.example.org`; pages of others are refused
    /// with 4110. Programs that are no browsers are not asked. Default none: pages of every origin may.
    pub origins: Vec<String>,
    /// Words that are masked in messages; their senders are told with 4408. Default none.
    pub masked_words: MaskedWords,
}

impl Settings {
    /// True if the app is asked or told about messages with the names of all receivers, or devices are pushed to.
    #[must_use]
    pub fn wants_receivers(&self) -> bool {
        let hooks = [
            HookName::MessageReceived,
            HookName::MessageUpdate,
            HookName::MessageSent,
            HookName::ReceiversOffline,
        ];
        self.push.enabled || hooks.into_iter().any(|hook| self.hooks.has(hook))
    }

    /// True if a connection of this web origin may open a session. A program that is no browser names no
    /// origin.
    #[must_use]
    pub fn admits_origin(&self, origin: Option<&str>) -> bool {
        let Some(origin) = origin else {
            return true;
        };
        let same = |it: &String| it.trim_end_matches('/').eq_ignore_ascii_case(origin);
        self.origins.is_empty() || self.origins.iter().any(same)
    }
}

/// Which operations need a signature. By default none does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signatures {
    /// Opening a session; refused with 4102. Default false.
    pub login: bool,
    /// Starting a conversation, adding, joining and removing; refused with 4302. Default false.
    pub conversation: bool,
    /// Blocking and unblocking; refused with 4546. Default false.
    pub blacklist: bool,
    /// How old a signature may be, in seconds, 1 to 31536000. Default 21600 (6 hours).
    pub max_age_secs: u64,
}

/// The operations that members may do. By default everything is on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Members have roles: owners and managers may do more, members less. Otherwise answered with
    /// 4325, and any member may remove others. Default true.
    pub roles: bool,
    /// Senders may edit their messages; otherwise refused with 4406. Default true.
    pub edit: bool,
    /// Senders may recall their messages; otherwise refused with 4407. Default true.
    pub recall: bool,
    /// Conversations have a list of blocked clients; otherwise answered with 4544. Default true.
    pub blacklist: bool,
}

/// How much of everything there may be. The length of a command, 5 KiB, is the protocol's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Members of a conversation, 2 to 10000; one more is refused with 4304. Default 500.
    pub members: usize,
    /// Members of a temporary conversation, 2 to 10000. Default 10.
    pub temporary_members: usize,
    /// Life of a temporary conversation that names none, in seconds. Default 86400 (a day).
    pub temporary_ttl_secs: u64,
    /// Longest life of a temporary conversation, in seconds, 1 to 31536000; a longer one is cut.
    /// Default 2592000 (30 days).
    pub temporary_ttl_max_secs: u64,
    /// Bytes of JSON that the name, the attributes and the custom columns of a conversation may
    /// take together, 64 to 131072. Default 16384.
    pub attribute_bytes: usize,
    /// Messages in one answer about history, 1 to 1000; a larger request is cut. Default 1000.
    pub history_page: usize,
    /// Conversations in one answer, 1 to 1000; a larger request is cut. Default 1000.
    pub query_page: usize,
    /// Largest unread count that is told, 1 to 1000; above it the count stays there. Default 100.
    pub unread_count: usize,
    /// Conversations in one unread notification, 1 to 1000. Default 50.
    pub unread_conversations: usize,
    /// Messages of one conversation that are pushed after login in push mode, 1 to 100. Default 20.
    pub pushed_messages: usize,
    /// Messages that are pushed after a login of the first generation in push mode, those of all
    /// conversations together, 1 to 100. Default 50.
    pub peer_messages: usize,
    /// How long a pushed message may stay unacknowledged before it is sent again, in seconds,
    /// 1 to 3600. Default 30.
    pub redelivery_secs: u64,
    /// Life of a session token, in seconds, 60 to 31536000. Default 172800 (2 days).
    pub session_token_ttl_secs: u64,
    /// How long tokens are renewed after a signature, where `signatures.login` is on, in seconds,
    /// 60 to 31536000; then the app's server has to sign again. Default 2592000 (30 days).
    pub session_max_secs: u64,
    /// How long a lost connection keeps its place in a chat room, in seconds, 0 to 86400.
    /// Default 1800 (30 minutes).
    pub room_return_secs: u64,
}

/// How long things are kept. By default messages are kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days a message is kept, 1 to 36500; absent or null means for ever. Default null.
    pub messages_days: Option<u64>,
    /// Hours a message of a chat room is kept, 1 to 876000; absent or null means as long as other
    /// messages. Default null.
    pub room_messages_hours: Option<u64>,
    /// Days for which a message is pushed after a login of the first generation in push mode, 1 to
    /// 365. Default 7.
    pub peer_messages_days: u64,
    /// Days a notification can be read again over REST, 1 to 365. Default 7.
    pub notifications_days: u64,
    /// Seconds for which a client's token of a message is remembered, 1 to 31536000, so that a repeated
    /// send stays one message; absent or null means as long as the message. Default null.
    pub message_tokens_secs: Option<u64>,
}

/// Reads the settings of all apps, by app id.
///
/// # Errors
///
/// [`SettingsError`] tells the fault, and its place.
pub fn parse_file(text: &str) -> Result<BTreeMap<String, Settings>, SettingsError> {
    let apps: BTreeMap<String, Settings> =
        serde_json::from_str(text).map_err(|error| SettingsError::Malformed(error.to_string()))?;
    apps.iter()
        .try_for_each(|(app, settings)| settings.check(app))?;
    Ok(apps)
}

impl Settings {
    fn check(&self, app: &str) -> Result<(), SettingsError> {
        if let Some(fault) = self.hooks.fault().or_else(|| self.push.fault()) {
            let text = format!("the settings of app {app}: {fault}");
            return Err(SettingsError::Malformed(text));
        }
        let ranges = self.own_ranges().into_iter().chain(self.limits.ranges());
        let ranges = ranges.chain(self.rates.ranges());
        let mut ranges = ranges.chain(self.files.ranges()).chain(self.push.ranges());
        match ranges.find(|range| !(range.min..=range.max).contains(&range.actual)) {
            None => Ok(()),
            Some(broken) => Err(SettingsError::OutOfRange {
                app: app.to_owned(),
                key: broken.key,
                min: broken.min,
                max: broken.max,
                actual: broken.actual,
            }),
        }
    }

    /// The ranges of the numbers that are no limits.
    fn own_ranges(&self) -> [Range; 7] {
        [
            range("hooks.timeout_ms", self.hooks.timeout_ms, 100, 8000),
            range(
                "signatures.max_age_secs",
                self.signatures.max_age_secs,
                1,
                YEAR,
            ),
            range(
                "retention.messages_days",
                self.retention.messages_days.unwrap_or(1),
                1,
                36_500,
            ),
            range(
                "retention.room_messages_hours",
                self.retention.room_messages_hours.unwrap_or(1),
                1,
                876_000,
            ),
            range(
                "retention.peer_messages_days",
                self.retention.peer_messages_days,
                1,
                365,
            ),
            range(
                "retention.notifications_days",
                self.retention.notifications_days,
                1,
                365,
            ),
            range(
                "retention.message_tokens_secs",
                self.retention.message_tokens_secs.unwrap_or(1),
                1,
                YEAR,
            ),
        ]
    }
}

impl Limits {
    fn ranges(&self) -> [Range; 15] {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        [
            range("limits.members", count(self.members), 2, 10_000),
            range(
                "limits.temporary_members",
                count(self.temporary_members),
                2,
                10_000,
            ),
            range(
                "limits.temporary_ttl_max_secs",
                self.temporary_ttl_max_secs,
                1,
                YEAR,
            ),
            range(
                "limits.temporary_ttl_secs",
                self.temporary_ttl_secs,
                1,
                self.temporary_ttl_max_secs,
            ),
            range(
                "limits.attribute_bytes",
                count(self.attribute_bytes),
                64,
                131_072,
            ),
            range("limits.history_page", count(self.history_page), 1, 1000),
            range("limits.query_page", count(self.query_page), 1, 1000),
            range("limits.unread_count", count(self.unread_count), 1, 1000),
            range(
                "limits.unread_conversations",
                count(self.unread_conversations),
                1,
                1000,
            ),
            range(
                "limits.pushed_messages",
                count(self.pushed_messages),
                1,
                100,
            ),
            range("limits.peer_messages", count(self.peer_messages), 1, 100),
            range("limits.redelivery_secs", self.redelivery_secs, 1, 3600),
            range(
                "limits.session_token_ttl_secs",
                self.session_token_ttl_secs,
                60,
                YEAR,
            ),
            range("limits.session_max_secs", self.session_max_secs, 60, YEAR),
            range(
                "limits.room_return_secs",
                self.room_return_secs,
                0,
                SECONDS_A_DAY,
            ),
        ]
    }
}

impl Signatures {
    /// How old a signature may be.
    #[must_use]
    pub const fn max_age(&self) -> Duration {
        Duration::from_secs(self.max_age_secs)
    }
}

impl Limits {
    /// The life of a temporary conversation for which `asked_secs` was asked.
    #[must_use]
    pub fn temporary_ttl(&self, asked_secs: Option<i32>) -> Duration {
        let asked = asked_secs
            .and_then(|secs| u64::try_from(secs).ok())
            .filter(|secs| *secs > 0);
        Duration::from_secs(
            asked
                .unwrap_or(self.temporary_ttl_secs)
                .min(self.temporary_ttl_max_secs),
        )
    }

    /// The life of a session token.
    #[must_use]
    pub const fn session_token_ttl(&self) -> Duration {
        Duration::from_secs(self.session_token_ttl_secs)
    }

    /// How long tokens are renewed after a signature.
    #[must_use]
    pub const fn session_max(&self) -> Duration {
        Duration::from_secs(self.session_max_secs)
    }

    /// How long a pushed message may stay unacknowledged before it is sent again.
    #[must_use]
    pub const fn redelivery(&self) -> Duration {
        Duration::from_secs(self.redelivery_secs)
    }

    /// How long a lost connection keeps its place in a chat room.
    #[must_use]
    pub const fn room_return(&self) -> Duration {
        Duration::from_secs(self.room_return_secs)
    }
}

impl Retention {
    /// How long a message is kept; `None` means for ever.
    #[must_use]
    pub fn messages(&self) -> Option<Duration> {
        self.messages_days
            .map(|days| Duration::from_secs(days.saturating_mul(SECONDS_A_DAY)))
    }

    /// How long a message of a chat room is kept; `None` means for ever.
    #[must_use]
    pub fn room_messages(&self) -> Option<Duration> {
        let own = self.room_messages_hours;
        let own = own.map(|hours| Duration::from_secs(hours.saturating_mul(SECONDS_AN_HOUR)));
        own.into_iter().chain(self.messages()).min()
    }

    /// For how long a message is pushed after a login of the first generation.
    #[must_use]
    pub const fn peer_messages(&self) -> Duration {
        Duration::from_secs(self.peer_messages_days.saturating_mul(SECONDS_A_DAY))
    }

    /// How long a client's token of a message is remembered; `None` means as long as the message.
    #[must_use]
    pub fn message_tokens(&self) -> Option<Duration> {
        self.message_tokens_secs.map(Duration::from_secs)
    }

    /// How long a notification can be read again.
    #[must_use]
    pub const fn notifications(&self) -> Duration {
        Duration::from_secs(self.notifications_days.saturating_mul(SECONDS_A_DAY))
    }
}

impl Default for Signatures {
    fn default() -> Self {
        Self {
            login: false,
            conversation: false,
            blacklist: false,
            max_age_secs: 21_600,
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self {
            roles: true,
            edit: true,
            recall: true,
            blacklist: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            members: 500,
            temporary_members: 10,
            temporary_ttl_secs: SECONDS_A_DAY,
            temporary_ttl_max_secs: 30 * SECONDS_A_DAY,
            attribute_bytes: 16 * 1024,
            history_page: 1000,
            query_page: 1000,
            unread_count: 100,
            unread_conversations: 50,
            pushed_messages: 20,
            peer_messages: 50,
            redelivery_secs: 30,
            session_token_ttl_secs: 2 * SECONDS_A_DAY,
            session_max_secs: 30 * SECONDS_A_DAY,
            room_return_secs: 1800,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            messages_days: None,
            room_messages_hours: None,
            peer_messages_days: 7,
            notifications_days: 7,
            message_tokens_secs: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_set_is_open_and_kept_for_ever() {
        let settings = parse_file(r#"{"a": {}}"#).unwrap().remove("a").unwrap();
        assert_eq!(settings, Settings::default());
        assert!(!settings.signatures.login && !settings.signatures.conversation);
        assert!(settings.features.roles && settings.features.edit && settings.features.recall);
        assert_eq!(settings.retention.messages(), None);
        assert_eq!(settings.check("a"), Ok(()));
    }

    #[test]
    fn one_key_changes_one_thing() {
        let text = r#"{"a": {"features": {"recall": false}, "retention": {"messages_days": 180}}, "b": {}}"#;
        let apps = parse_file(text).unwrap();
        assert!(!apps["a"].features.recall && apps["a"].features.edit);
        assert_eq!(
            apps["a"].retention.messages(),
            Some(Duration::from_secs(180 * 86_400))
        );
        assert_eq!(apps["b"], Settings::default());
    }

    #[test]
    fn a_misspelt_key_is_told_by_name() {
        let error = parse_file(r#"{"a": {"features": {"recal": false}}}"#).unwrap_err();
        assert!(error.to_string().contains("recal"), "{error}");
    }

    #[test]
    fn a_number_out_of_range_is_told_with_its_range() {
        let error = parse_file(r#"{"a": {"limits": {"history_page": 5000}}}"#).unwrap_err();
        let text = "the settings of app a: limits.history_page must be from 1 to 1000, got 5000";
        assert_eq!(error.to_string(), text);
        assert!(parse_file(r#"{"a": {"limits": {"temporary_ttl_max_secs": 60}}}"#).is_err());
    }

    #[test]
    fn a_temporary_conversation_lives_as_long_as_asked_within_the_limit() {
        let limits = Limits::default();
        assert_eq!(limits.temporary_ttl(None), Duration::from_secs(86_400));
        assert_eq!(limits.temporary_ttl(Some(60)), Duration::from_secs(60));
        assert_eq!(limits.temporary_ttl(Some(-1)), Duration::from_secs(86_400));
        assert_eq!(
            limits.temporary_ttl(Some(i32::MAX)),
            Duration::from_secs(2_592_000)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_settings_or_an_error(text in "(?s).{0,80}") {
            let _ = parse_file(&text);
        }
    }
}
