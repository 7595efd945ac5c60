//! URLs of the service, parsed once.

use hyper::Uri;

use super::NetError;
use crate::ServerAddress;

/// Checks the address that an app configured, without asking anybody.
///
/// # Errors
///
/// [`NetError::Address`] when nothing could ever be reached there.
pub fn check_server(server: &ServerAddress) -> Result<(), NetError> {
    match server {
        ServerAddress::Router { url } => Address::http(url),
        ServerAddress::Socket { url } => Address::websocket(url),
    }
    .map(|_| ())
}

/// A URL that can be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The host: a name, or an IP address without brackets.
    pub(super) host: String,
    /// The port, by the scheme's default where the URL names none.
    pub(super) port: u16,
    /// TLS or clear text.
    pub(super) security: Security,
    /// Path and query, at least `/`.
    pub(super) path: String,
    /// Host and port as the `Host` header wants them.
    pub(super) authority: String,
}

/// Encryption of a connection: TLS or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// `ws`, `http`.
    Clear,
    /// `wss`, `https`.
    Tls,
}

impl Address {
    /// Parses the URL of a WebSocket.
    pub(super) fn websocket(url: &str) -> Result<Self, NetError> {
        Self::parse(url, "ws", "wss")
    }

    /// Parses the URL of an HTTP resource.
    pub(super) fn http(url: &str) -> Result<Self, NetError> {
        Self::parse(url, "http", "https")
    }

    fn parse(url: &str, clear: &str, tls: &str) -> Result<Self, NetError> {
        let uri: Uri = url.parse().map_err(|_| bad("it does not parse"))?;
        let security = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case(clear) => Security::Clear,
            Some(scheme) if scheme.eq_ignore_ascii_case(tls) => Security::Tls,
            Some(_) => return Err(bad("it has another scheme")),
            None => return Err(bad("it has no scheme")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("it names a user"));
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        Ok(Self {
            host: host.to_owned(),
            port: authority
                .port_u16()
                .unwrap_or_else(|| security.default_port()),
            security,
            path: path_of(&uri),
            authority: authority.as_str().to_owned(),
        })
    }
}

impl Security {
    const fn default_port(self) -> u16 {
        match self {
            Self::Clear => 80,
            Self::Tls => 443,
        }
    }
}

/// Path and query; a URL that ends with its host means the root.
fn path_of(uri: &Uri) -> String {
    match uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.as_str().to_owned(),
        Some(path) => format!("/{path}"),
        None => "/".to_owned(),
    }
}

const fn bad(reason: &'static str) -> NetError {
    NetError::Address { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_host_port_security_and_path_or_their_defaults() {
        let plain = Address::websocket("ws://127.0.0.1:8080/ws?a=1").unwrap();
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.path.as_str()),
            ("127.0.0.1", 8080, "/ws?a=1")
        );
        assert_eq!(plain.security, Security::Clear);
        let tls = Address::http("https://chat.example.org").unwrap();
        assert_eq!((tls.port, tls.path.as_str()), (443, "/"));
        let six = Address::websocket("wss://[::1]:9/").unwrap();
        assert_eq!((six.host.as_str(), six.port), ("::1", 9));
    }

    #[test]
    fn a_url_of_another_kind_is_refused() {
        for url in [
            "",
            "chat.example.org",
            "http://chat.example.org",
            "ws://",
            "ws://user:word@host/",
            "ws://ho st/",
        ] {
            assert!(
                matches!(Address::websocket(url), Err(NetError::Address { .. })),
                "{url:?} was taken"
            );
        }
    }
}
