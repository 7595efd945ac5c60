//! The connection of an engine and the sessions of its clients, as states.

use std::fmt;
use std::time::Duration;

/// The state of an engine's one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum ConnectionState {
    /// Nobody asked for a connection, or the engine is paused.
    #[default]
    Idle,
    /// Looking the service up or shaking hands.
    Connecting {
        /// The attempt since the last success, from 0.
        attempt: u32,
    },
    /// The socket is open.
    Connected,
    /// The last attempt failed; the next one is planned.
    Waiting {
        /// The attempt that is planned, from 1.
        attempt: u32,
        /// How long until it, from when it was planned.
        delay: Duration,
    },
    /// The device has no network; the engine waits for a hint that it is back.
    Offline,
}

/// Why connecting failed. The engine tries again all the same: certificates are renewed and services
/// come back. An app may want to tell its user, or its makers.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// The name is unknown, nobody listens there, or the connection broke.
    Unreachable {
        /// The words of the operating system.
        reason: String,
    },
    /// Nobody answered within `Limits.connect_timeout`.
    TimedOut,
    /// The certificate is not trusted, or TLS failed otherwise: nothing was sent.
    Untrusted {
        /// The words of the TLS library.
        reason: String,
    },
    /// The connection would leave this machine unencrypted, which `Config.insecure` forbids: nothing
    /// was sent.
    Insecure,
    /// Somebody answered who is not the service: a network's sign-in page, a proxy, or a wrong address.
    /// Told at the first one, also where the status is a success, or where the connection is taken and
    /// closed without a word.
    NotTheService {
        /// The fault, such as an HTTP status.
        reason: String,
    },
}

impl fmt::Display for ConnectionFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => out.write_str("nobody answered in time"),
            Self::Insecure => out.write_str("the connection would be unencrypted"),
            Self::Unreachable { reason }
            | Self::Untrusted { reason }
            | Self::NotTheService { reason } => out.write_str(reason),
        }
    }
}

/// The state of one client's session.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum SessionState {
    /// The app did not ask to be online, or asked not to be any more.
    #[default]
    Closed,
    /// Wanted, and not there yet: no connection, or the service has not answered.
    Opening,
    /// Signed in; sending and receiving.
    Open,
    /// Ended for good until the app connects again.
    Ended {
        /// The reason.
        reason: SessionEnd,
    },
}

/// Why a session ended and is not reopened by itself.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SessionEnd {
    /// Another device with the same tag signed in (code 4111).
    Conflict,
    /// The app's operator removed the client (code 4115).
    Kicked {
        /// The operator's words.
        reason: String,
    },
    /// The service refuses this client or app; trying again won't help.
    Refused {
        /// The service's number, listed in `docs/wire.md`.
        code: i32,
        /// The service's name of the number.
        reason: String,
    },
}

impl SessionEnd {
    /// The service's number, listed in `docs/wire.md`.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Conflict => 4111,
            Self::Kicked { .. } => 4115,
            Self::Refused { code, .. } => *code,
        }
    }

    /// Why, in words: the service's, where it gave some.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Conflict => "another device with the same tag signed in",
            Self::Kicked { reason } | Self::Refused { reason, .. } => reason,
        }
    }
}

/// The fate of a client's data on this device when the client signs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LocalData {
    /// It stays: conversations can be read, and unsent work goes out, when the client is back.
    Keep,
    /// It is removed, and what extensions left too.
    Wipe,
}

/// The fate of a client's unsent work when the client signs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum UnsentWork {
    /// It stays and goes out when the client is back. Only with `LocalData.Keep`.
    KeepIt,
    /// It is given up; work that is on its way may arrive all the same.
    ThrowAway,
    /// Where there is some, the client does not sign out. Read marks do not count.
    Refuse,
}

/// The fate of another device of the same client that is signed in with the same tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum OtherDevice {
    /// It is signed out: the user signs in here.
    #[default]
    SignOut,
    /// It keeps its place, and this session ends with a conflict: the app comes back by itself.
    Keep,
}

/// News of the operating system about the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum NetworkChange {
    /// There is none: the engine stops trying until it hears otherwise.
    Lost,
    /// There is one (again): the engine tries at once.
    Back,
    /// It is another one than before, such as mobile data after Wi-Fi: the engine reconnects.
    Switched,
}
