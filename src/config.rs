//! The configuration of an engine: addresses, limits and time-outs, each with its unit and default.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::AppId;

/// The configuration of an engine. [`Config::new`] fills in the defaults.
#[derive(Clone, Debug, uniffi::Record)]
pub struct Config {
    /// The application.
    pub app_id: AppId,
    /// The application's key; never shown and never logged.
    pub app_key: Secret,
    /// The address of the service. The engine connects straight to it, over any network of the system (a VPN
    /// included). HTTP and SOCKS proxies and their automatic configuration are not used.
    pub server: ServerAddress,
    /// The folder that holds the stores of all clients, made if missing. On iOS it must be in the app's private
    /// container.
    pub store_root: PathBuf,
    /// The service's treatment of messages that arrive while a client is offline. Default: `Unread`.
    pub offline_mode: OfflineMode,
    /// The form of frames: binary, or text (base64) where binary frames do not get through. Default: binary.
    pub payload: PayloadEncoding,
    /// Tells if unencrypted connections are allowed beyond this machine. Default: no.
    pub insecure: InsecureConnections,
    /// The certificate authorities that the engine trusts. Default: those that browsers trust.
    pub trust: TrustedRoots,
    /// Rates and limits of the protocol.
    pub limits: Limits,
    /// Memory for the caches of all stores together, in bytes. At its opening a store gets an even part of it,
    /// shared with the open stores, and at least 1 MiB. The process needs about twice as much, and some MiB for
    /// each store: `docs/store.md`. Default: 16 MiB.
    #[uniffi(default = 16_777_216)]
    pub cache_bytes: u64,
    /// The folder in which extensions of the app leave work (`ExtensionInbox`), in a place that both processes
    /// reach. For each client it holds at most 1000 files of 32 KiB. The engine reads it when a client opens,
    /// on `Engine.resume` and on `Client.import_inbox`, and at no other time. Default: none.
    #[uniffi(default)]
    pub inbox_folder: Option<PathBuf>,
    /// The most bytes that the stores of all open clients should take on disk together. Beyond it the engine
    /// removes the oldest messages, and a gap takes their place, which paging back fetches again. Unsent work,
    /// the newest messages of each conversation, the conversation in view (`Timeline.seen`) and unread mentions
    /// stay, whatever the budget is; `docs/store.md` lists the counted files. An empty store takes a few MiB.
    /// Default: none.
    #[uniffi(default)]
    pub disk_budget: Option<u64>,
    /// The base URL of the service's REST interface, which takes uploads, such as `https://api.example.org`.
    /// Default: none, which stands for the URL of the router. With `ServerAddress.Socket` and without this URL
    /// no file can be sent.
    #[uniffi(default)]
    pub api_url: Option<String>,
    /// The largest file that is sent, in bytes. Default: 100 MiB.
    #[uniffi(default = 104_857_600)]
    pub upload_max: u64,
    /// The most bytes that the downloaded files of a client take on disk. Beyond it the least recently used
    /// files are removed, except those of a `Download` that the app holds. A larger file is not downloaded.
    /// Default: 256 MiB.
    #[uniffi(default = 268_435_456)]
    pub file_cache_bytes: u64,
    /// Folders with files that an older SDK downloaded on this device: of the Objective-C SDK
    /// `Library/Caches/com.leancloud.caches/Files`, of the Android and Java SDK the folder named after the first
    /// eight letters of the app id and `avfile` in the app's cache folder. `Client.download` finds a file there
    /// when its size is the one in the message, and then asks no host. The files are read in place, also by
    /// clients with an encrypted store; the engine never changes or removes them. Default: none.
    #[uniffi(default = [])]
    pub legacy_file_folders: Vec<PathBuf>,
}

impl Config {
    /// A configuration with every default.
    #[must_use]
    pub fn new(
        app_id: AppId,
        app_key: impl Into<String>,
        server: ServerAddress,
        store_root: impl Into<PathBuf>,
    ) -> Self {
        Self {
            app_id,
            app_key: Secret::new(app_key),
            server,
            store_root: store_root.into(),
            offline_mode: OfflineMode::default(),
            payload: PayloadEncoding::default(),
            insecure: InsecureConnections::default(),
            trust: TrustedRoots::default(),
            limits: Limits::default(),
            cache_bytes: 16 * 1024 * 1024,
            inbox_folder: None,
            disk_budget: None,
            api_url: None,
            upload_max: 100 * 1024 * 1024,
            file_cache_bytes: 256 * 1024 * 1024,
            legacy_file_folders: Vec::new(),
        }
    }
}

/// The address of the service.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum ServerAddress {
    /// The base URL of the service, such as `https://chat.example.org`. The engine asks the router at this URL
    /// for the URL of the WebSocket.
    Router {
        /// The URL, with scheme and without a path.
        url: String,
    },
    /// The URL of the WebSocket, such as `wss://chat.example.org/ws`; the engine asks no router.
    Socket {
        /// The URL, with scheme.
        url: String,
    },
}

/// The service's treatment of messages that arrive while a client is offline.
///
/// The hosted service sends read receipts only when the reader's app is in `Unread`; `sampan-service` sends them in
/// both modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum OfflineMode {
    /// The service counts them and tells the counts at sign-in; the engine fetches the messages.
    #[default]
    Unread,
    /// The service pushes up to twenty of them per conversation after sign-in.
    Push,
}

/// The form in which frames travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum PayloadEncoding {
    /// Binary messages.
    #[default]
    Binary,
    /// Text messages in base64, a third larger.
    Text,
}

/// The addresses for which `ws://` and `http://` are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum InsecureConnections {
    /// Only to this machine (loopback), as in tests.
    #[default]
    LoopbackOnly,
    /// To any address. Others on the way can then read everything, session tokens included.
    Allowed,
}

/// The authorities that may have signed the service's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, uniffi::Enum)]
pub enum TrustedRoots {
    /// Those that browsers trusted when this version of Sampan was made. Certificates that a user or an
    /// administrator added to the device are not among them.
    #[default]
    Web,
    /// Only these: for a service whose certificate was signed by an authority of your own.
    Only {
        /// Their certificates: one or more PEM blocks.
        pem: String,
    },
}

/// Rates and limits of the protocol, with the hosted service's values as defaults.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Limits {
    /// How long a request may stay unanswered. Default: 20 s, as the official JavaScript SDK.
    pub request_timeout: Duration,
    /// How long looking up and shaking hands may take. Default: 20 s.
    pub connect_timeout: Duration,
    /// Silence after which a heartbeat is sent. Default: 180 s.
    pub heartbeat_interval: Duration,
    /// Silence after which the connection counts as dead. Default: 380 s.
    pub dead_after: Duration,
    /// The first pause between attempts to connect; it doubles. Default: 1 s.
    pub backoff_first: Duration,
    /// The longest pause between attempts to connect. Default: 300 s.
    pub backoff_max: Duration,
    /// How often an outbox entry is sent on a live link without an answer before it fails.
    /// Default: 8.
    pub send_tries_max: u32,
    /// Messages sent per minute and client. Default: 60, the hosted service's limit.
    pub sends_per_minute: u32,
    /// History queries per minute and client. Default: 120, the hosted service's limit.
    pub history_per_minute: u32,
    /// Other commands per minute and client. Default: 30, the hosted service's limit.
    pub others_per_minute: u32,
    /// The count at which the service stops counting unread messages. Default: 100.
    pub unread_cap: u32,
    /// Messages fetched per conversation at catch-up; the rest becomes a gap. Default: 100.
    pub catch_up_max: u32,
    /// For how long the service is trusted to remember idempotency tokens: an entry in doubt for
    /// longer is looked for in history first. None: for ever, as `sampan-service` does.
    /// Default: 3 minutes.
    pub token_memory: Option<Duration>,
    /// The most unsent entries per client; enqueueing more is an error. Default: 10,000.
    pub outbox_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(20),
            heartbeat_interval: Duration::from_secs(180),
            dead_after: Duration::from_secs(380),
            backoff_first: Duration::from_secs(1),
            backoff_max: Duration::from_secs(300),
            send_tries_max: 8,
            sends_per_minute: 60,
            history_per_minute: 120,
            others_per_minute: 30,
            unread_cap: 100,
            catch_up_max: 100,
            token_memory: Some(Duration::from_secs(180)),
            outbox_max: 10_000,
        }
    }
}

impl Limits {
    /// The limits for `sampan-service` with its default settings: the service neither throttles a client nor
    /// forgets tokens.
    #[must_use]
    pub fn unthrottled() -> Self {
        Self {
            sends_per_minute: u32::MAX,
            history_per_minute: u32::MAX,
            others_per_minute: u32::MAX,
            token_memory: None,
            ..Self::default()
        }
    }
}

/// A text that is never shown: keys, tokens, signatures.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret with this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Use it only where the text is needed.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        let app = AppId::new("app").unwrap();
        let server = ServerAddress::Router {
            url: "https://chat.example.org".into(),
        };
        let config = Config::new(app, "hush-hush", server, "/nowhere");
        assert!(!format!("{config:?}").contains("hush-hush"));
    }
}
