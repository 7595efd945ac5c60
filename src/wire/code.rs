//! The codes of the service's refusals, as one table; `docs/wire.md` has the same table.

use std::fmt;

/// A code in an error, a refused acknowledgement or a closed session.
///
/// An unknown code is kept as it is, and reaches the app.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceCode(i32);

/// The ways in which a client may go on after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Retry {
    /// The same command may succeed later, as it is.
    Later,
    /// The same command may succeed once the session is open.
    AfterOpen,
    /// Forget the session token and open once more without it.
    DropToken,
    /// The same command will never succeed.
    Never,
    /// Nothing will succeed on this session: don't come back without the user.
    DoNotReconnect,
}

impl Retry {
    /// The word for it in `docs/wire.md`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Later => "later",
            Self::AfterOpen => "after open",
            Self::DropToken => "drop token",
            Self::Never => "never",
            Self::DoNotReconnect => "do not reconnect",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeEntry {
    /// The number.
    pub code: ServiceCode,
    /// The name on the wire (the field `reason`), with the misspellings it has there.
    pub name: &'static str,
    /// The way in which a client may go on.
    pub retry: Retry,
    /// The commands in which it occurs.
    pub place: &'static str,
    /// The meaning.
    pub meaning: &'static str,
}

/// Defines the table, and a constant for each row.
macro_rules! codes {
    ($($number:literal $name:ident $retry:ident $place:literal $meaning:literal;)*) => {
        impl ServiceCode {
            $(
                #[doc = concat!($meaning, ".")]
                pub const $name: Self = Self($number);
            )*
        }

        /// Every code that the service is known to use, ascending.
        pub const CODES: &[CodeEntry] = &[
            $(CodeEntry {
                code: ServiceCode::$name,
                name: stringify!($name),
                retry: Retry::$retry,
                place: $place,
                meaning: $meaning,
            },)*
        ];
    };
}

codes! {
    0 CLOSED Later "session" "the session was closed normally";
    1000 CLOSE_NORMAL Later "connection" "the WebSocket was closed normally";
    1006 CLOSE_ABNORMAL Later "connection" "the connection was lost without a close frame";
    4100 APP_NOT_AVAILABLE DoNotReconnect "session, connection" "the app is unknown, suspended or disabled";
    4101 DUPLICATED_LOGIN Never "session" "the same client logged in twice on a push socket";
    4102 SIGNATURE_FAILED Never "session" "the signature of a login is missing, wrong or too old";
    4103 INVALID_LOGIN DoNotReconnect "session, connection" "the client id or the login message is not legal";
    4105 SESSION_REQUIRED AfterOpen "any command" "a command came before its session was open";
    4106 BLACKLISTED DoNotReconnect "session" "the client is on the app's black list";
    4107 READ_TIMEOUT Later "connection" "nothing was received for too long";
    4108 LOGIN_TIMEOUT Later "connection" "nobody signed in after connecting";
    4109 FRAME_TOO_LONG Never "connection, any command" "the command is longer than 5 KiB";
    4110 INVALID_ORIGIN DoNotReconnect "session, connection" "the web origin is not one of the app's domains";
    4111 SESSION_CONFLICT DoNotReconnect "session" "another device uses the tag";
    4112 SESSION_TOKEN_EXPIRED DropToken "session" "the session token is unknown or has expired";
    4113 APP_QUOTA_EXCEEDED Later "session" "too many clients of the app signed in today";
    4114 UNPARSEABLE_RAW_MESSAGE Never "connection, any command" "the frame could not be decoded";
    4115 KICKED_BY_APP DoNotReconnect "session" "the app's operator removed the client";
    4116 MESSAGE_SENT_QUOTA_EXCEEDED Later "message" "the app sends too many messages for its plan";
    4117 UNBIND_INSTALLATION_FAILED Later "session" "at sign-out the client could not be unbound from the device";
    4200 INTERNAL_ERROR Later "any command" "the service failed";
    4201 SEND_MESSAGE_TIMEOUT Later "message" "the service took too long to send; repeat it with the same token";
    4300 CONVERSATION_INTERNAL_ERROR Later "conversation" "the service failed at a conversation";
    4301 CONVERSATION_API_FAILED Later "conversation" "the storage behind conversations failed";
    4302 CONVERSATION_SIGNATURE_FAILED Never "conversation" "the signature of a conversation operation is missing or wrong";
    4303 CONVERSATION_NOT_FOUND Never "conversation, message, history" "there is no such conversation";
    4304 CONVERSATION_FULL Never "conversation" "the conversation has as many members as it may";
    4305 CONVERSATION_REJECTED_BY_APP Never "conversation" "a hook of the app refused; its own code stands beside";
    4306 CONVERSATION_UPDATE_FAILED Later "conversation" "the change of attributes failed";
    4307 CONVERSATION_READ_ONLY Never "conversation" "neither its attributes nor its members can change";
    4308 CONVERSATION_NOT_ALLOWED Never "message, conversation" "this client may not send to the conversation";
    4309 CONVERSATION_UPDATE_REJECTED Never "conversation" "only members may change the conversation";
    4310 CONVERSATION_QUERY_FAILED Never "conversation" "the query is wrong or too expensive";
    4311 CONVERSATION_LOG_FAILED Later "history" "reading the history failed";
    4312 CONVERSATION_LOG_REJECTED Never "history" "only members may read the history";
    4313 SYSTEM_CONVERSATION_REQUIRED Never "conversation" "only service conversations can do that";
    4314 NORMAL_CONVERSATION_REQUIRED Never "conversation" "only normal conversations can do that";
    4315 CONVERSATION_BLACKLISTED Never "conversation, message" "the client is barred from sending to the conversation for a time";
    4316 TRANSIENT_CONVERSATION_REQUIRED Never "conversation" "only chat rooms can do that";
    4317 CONVERSATION_MEMBERSHIP_REQUIRED Never "conversation" "only members may ask for that";
    4318 CONVERSATION_API_QUOTA_EXCEEDED Later "conversation" "too many conversation operations for the app's plan";
    4320 CONVERSATION_OPERATION_UNAUTHORIZED Never "conversation" "the member's role does not allow it";
    4321 UNKNOWN_CONVERSATION_ROLE Never "conversation" "there is no such role";
    4322 CONVERSATION_MEMBER_IN_ROLE_FULL Never "conversation" "the role has as many members as it may";
    4323 TEMPORARY_CONVERSATION_EXPIRED Never "conversation, message" "the temporary conversation is over";
    4324 CONVERSATION_NEED_OWNER Never "failed members" "the owner cannot leave";
    4325 CONVERSATION_MEMBER_INFO_FEATURE_DISABLED Never "conversation" "the app does not use roles";
    4401 INVALID_MESSAGING_TARGET Never "message" "the sender is not a member, or the conversation does not exist";
    4402 MESSAGE_REJECTED_BY_APP Never "message" "a hook of the app refused; its own code stands beside";
    4403 MESSAGE_OWNERSHIP_REQUIRED Never "edit" "only its sender may change a message";
    4404 MESSAGE_NOT_FOUND Never "edit" "there is no message of that conversation, id and time";
    4405 MESSAGE_UPDATE_REJECTED_BY_APP Never "edit" "a hook of the app refused the change";
    4406 MESSAGE_EDIT_DISABLED Never "edit" "the app does not allow edits";
    4407 MESSAGE_RECALL_DISABLED Never "edit" "the app does not allow recalls";
    4408 MESSAGE_MODIFIED_BY_CENSORSHIP Never "edit" "a word filter changed the message; as a patch code it is negative";
    4543 BLACKLIST_FULL Never "block list" "the block list has as many entries as it may";
    4544 BLACKLIST_FEATURE_DISABLED Never "block list" "the app does not use block lists";
    4546 BLACKLIST_SIGNATURE_FAILED Never "block list" "the signature of a block list operation is missing or wrong";
    4548 BLOCKED_BY_CONV Never "failed members, message" "the client is on the conversation's block list";
    4561 SILIENCED_MEMBER_LIST_FULL Never "conversation" "the list of silenced members has as many entries as it may";
    4563 SILIENCED Never "message" "the sender is silenced in the conversation";
}

impl ServiceCode {
    /// A number as it came.
    #[must_use]
    pub const fn new(number: i32) -> Self {
        Self(number)
    }

    /// The number, as an error or an acknowledgement carries it.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Its row of the table, if it has one.
    #[must_use]
    pub fn entry(self) -> Option<&'static CodeEntry> {
        let place = CODES.binary_search_by_key(&self, |entry| entry.code).ok()?;
        CODES.get(place)
    }

    /// Its name on the wire; `UNKNOWN` if it has no row.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("UNKNOWN", |entry| entry.name)
    }

    /// The way in which a client may go on. An unknown code is never retried: a refusal that nobody understands is
    /// shown to the app, not repeated.
    #[must_use]
    pub fn retry(self) -> Retry {
        self.entry().map_or(Retry::Never, |entry| entry.retry)
    }
}

impl ServiceCode {
    /// True if the code says that too much was sent: repeats must come more slowly.
    #[must_use]
    pub const fn is_rate_limit(self) -> bool {
        matches!(
            self,
            Self::APP_QUOTA_EXCEEDED
                | Self::MESSAGE_SENT_QUOTA_EXCEEDED
                | Self::CONVERSATION_API_QUOTA_EXCEEDED
        )
    }

    /// True if it refuses a signature. Signatures age, so one more try with a fresh one is fair,
    /// where the app has a signer; the same signature never succeeds.
    #[must_use]
    pub const fn refuses_signature(self) -> bool {
        matches!(
            self,
            Self::SIGNATURE_FAILED
                | Self::CONVERSATION_SIGNATURE_FAILED
                | Self::BLACKLIST_SIGNATURE_FAILED
        )
    }
}

impl From<ServiceCode> for u16 {
    /// The number in the range where all known ones are; one outside it goes to the nearer end.
    fn from(code: ServiceCode) -> Self {
        Self::try_from(code.0).unwrap_or(if code.0 < 0 { Self::MIN } else { Self::MAX })
    }
}

impl fmt::Display for ServiceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for ServiceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.name())
    }
}

/// The number with which a WebSocket was closed (docs/wire.md, "Close codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// Closed normally.
    pub const NORMAL: Self = Self(1000);
    /// The connection was lost without a close frame; never sent.
    pub const ABNORMAL: Self = Self(1006);
    /// The Java SDK got no answer to its pings.
    pub const PING_TIMEOUT: Self = Self(3000);
    /// The app is unknown, suspended or disabled.
    pub const APP_NOT_AVAILABLE: Self = Self(4100);
    /// The login is not legal.
    pub const INVALID_LOGIN: Self = Self(4103);
    /// Nothing was received for too long.
    pub const READ_TIMEOUT: Self = Self(4107);
    /// Nobody signed in after connecting.
    pub const LOGIN_TIMEOUT: Self = Self(4108);
    /// A frame was too long.
    pub const FRAME_TOO_LONG: Self = Self(4109);
    /// The web origin is not one of the app's domains.
    pub const INVALID_ORIGIN: Self = Self(4110);
    /// A frame could not be decoded.
    pub const UNPARSEABLE: Self = Self(4114);

    /// True if a client may connect again by itself. After three codes the JavaScript SDK does not.
    #[must_use]
    pub const fn allows_reconnect(self) -> bool {
        !matches!(
            self,
            Self::APP_NOT_AVAILABLE | Self::INVALID_LOGIN | Self::INVALID_ORIGIN
        )
    }

    /// The service's code of the same number: close codes from 4100 on share its table.
    #[must_use]
    pub const fn service_code(self) -> ServiceCode {
        ServiceCode(self.0 as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_a_code_is_found_by_its_number() {
        assert!(CODES.is_sorted_by(|a, b| a.code < b.code));
        for entry in CODES {
            assert_eq!(ServiceCode::new(entry.code.number()).entry(), Some(entry));
        }
        assert_eq!(ServiceCode::SESSION_CONFLICT.number(), 4111);
        let conflict = crate::model::SessionEnd::Conflict;
        assert_eq!(conflict.code(), ServiceCode::SESSION_CONFLICT.number());
        let reason = String::new();
        let kicked = crate::model::SessionEnd::Kicked { reason };
        assert_eq!(kicked.code(), ServiceCode::KICKED_BY_APP.number());
        assert_eq!(ServiceCode::SILIENCED.name(), "SILIENCED");
    }

    #[test]
    fn an_unknown_code_keeps_its_number_and_is_not_retried() {
        let code = ServiceCode::new(4999);
        assert_eq!(
            (code.number(), code.entry(), code.retry()),
            (4999, None, Retry::Never)
        );
        assert_eq!(u16::from(ServiceCode::new(-4408)), 0);
        assert_eq!(u16::from(ServiceCode::new(70_000)), u16::MAX);
    }

    #[test]
    fn a_rate_limit_is_retried_later_and_a_signature_is_not_repeated() {
        for CodeEntry { code, name, .. } in CODES {
            assert_eq!(code.is_rate_limit(), name.contains("QUOTA"), "{name}");
            assert_eq!(
                code.refuses_signature(),
                name.contains("SIGNATURE"),
                "{name}"
            );
            assert!(
                !code.is_rate_limit() || code.retry() == Retry::Later,
                "{name}"
            );
            assert!(
                !code.refuses_signature() || code.retry() == Retry::Never,
                "{name}"
            );
        }
    }

    // S363
    #[test]
    fn a_fatal_close_code_has_a_service_code_that_forbids_reconnecting() {
        for code in [4100, 4103, 4110].map(CloseCode) {
            assert!(!code.allows_reconnect());
            assert_eq!(code.service_code().retry(), Retry::DoNotReconnect);
        }
        assert!(CloseCode::READ_TIMEOUT.allows_reconnect());
    }

    // S363
    #[test]
    fn the_documented_table_has_exactly_these_rows() {
        let page = include_str!("../../docs/wire.md");
        let (_, section) = page.split_once("## Error codes").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let documented: Vec<&str> = section
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
            .collect();
        let expected: Vec<String> = CODES
            .iter()
            .map(|entry| {
                let CodeEntry {
                    code,
                    name,
                    meaning,
                    place,
                    retry,
                } = entry;
                format!(
                    "| {code} | {name} | {meaning} | {place} | {} |",
                    retry.word()
                )
            })
            .collect();
        assert_eq!(documented, expected);
    }
}
