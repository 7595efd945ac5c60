//! The connection of an engine and the sessions of its clients, as states.

use std::fmt;
use std::time::Duration;

/// The state of an engine's one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum ConnectionState {
    /// No client wants a connection, or the engine is paused.
    #[default]
    Idle,
    /// The engine looks the service up or shakes hands.
    Connecting {
        /// The number of the attempt since the last success, from 0.
        attempt: u32,
    },
    /// The socket is open.
    Connected,
    /// The last attempt failed; the next one is planned.
    Waiting {
        /// The number of the planned attempt, from 1.
        attempt: u32,
        /// The time until the attempt, counted from its planning.
        delay: Duration,
    },
    /// The device has no network; the engine waits for a hint that the network is back.
    Offline,
}

/// The reason why an attempt to connect failed. The engine tries again in each case, because certificates are
/// renewed and services come back. An app may want to inform its user or its developers.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
#[non_exhaustive]
pub enum ConnectionFailure {
    /// The name is unknown, no server listens there, or the connection broke.
    Unreachable {
        /// The words of the operating system.
        reason: String,
    },
    /// No server answered within `Limits.connect_timeout`.
    TimedOut,
    /// The certificate is not trusted, or TLS failed otherwise: nothing was sent.
    Untrusted {
        /// The words of the TLS library.
        reason: String,
    },
    /// The connection would leave this machine unencrypted, which `Config.insecure` forbids. Nothing was sent.
    Insecure,
    /// The answer came from something else than the service: a network's sign-in page, a proxy, or a wrong
    /// address. The engine reports the first such answer, also when its status is a success, or when the
    /// connection is accepted and closed without an answer.
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
    /// The app did not call `go_online`, or called `go_offline`.
    #[default]
    Closed,
    /// The app wants to be online, and there is no connection yet or the service has not answered.
    Opening,
    /// The client is signed in: it sends and receives.
    Open,
    /// The session ended and stays closed until the app calls `go_online` again.
    Ended {
        /// The reason.
        reason: SessionEnd,
    },
}

/// The reason why a session ended for good.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SessionEnd {
    /// Another device with the same tag signed in (code 4111).
    Conflict,
    /// The app's operator removed the client (code 4115).
    Kicked {
        /// The operator's words.
        reason: String,
    },
    /// The service refuses this client or app; another try would not help.
    Refused {
        /// The service's code, listed in `docs/wire.md`.
        code: i32,
        /// The service's name of the code.
        reason: String,
    },
}

impl SessionEnd {
    /// The service's code, listed in `docs/wire.md`.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::Conflict => 4111,
            Self::Kicked { .. } => 4115,
            Self::Refused { code, .. } => *code,
        }
    }

    /// The reason in words: the service's words, where it gave some.
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
    /// The data stay. Conversations can be read, and unsent work goes out, when the client is opened again.
    Keep,
    /// The data are removed, with the work that extensions left.
    Wipe,
}

/// The fate of a client's unsent work when the client signs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum UnsentWork {
    /// The work stays and goes out when the client is online again. Only with `LocalData.Keep`.
    KeepIt,
    /// The work is discarded; work that is on its way may still arrive.
    ThrowAway,
    /// If there is unsent work, the client does not sign out. Read marks do not count.
    Refuse,
}

/// The fate of another device of the same client that is signed in with the same tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum OtherDevice {
    /// The other device is signed out, because the user signs in here.
    #[default]
    SignOut,
    /// The other device stays signed in, and this session ends with a conflict. For an app that comes back by
    /// itself.
    Keep,
}

/// A report of the operating system about the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum NetworkChange {
    /// There is no network: the engine waits for another report.
    Lost,
    /// There is a network (again): the engine connects at once.
    Back,
    /// The network is another one, such as mobile data after Wi-Fi: the engine reconnects.
    Switched,
}
