//! Answers of the two routers, which tell a client where the service is.

use serde_json::{Map, Value, json};

use super::error::WireError;
use super::json::{parse_object, take_if, take_text, whole};

/// How long an answer may be used that does not say: the JavaScript SDK's choice.
pub const TTL_SECS_DEFAULT: u64 = 3600;

/// The answer of `GET /v1/route`: which WebSocket to use now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The WebSocket URL.
    pub server: String,
    /// A second one, to try when the first fails.
    pub secondary: Option<String>,
    /// The time for which the answer may be used, in seconds.
    pub ttl_secs: u64,
}

impl Route {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`WireError::MalformedJson`] when it is no object, or names no server that a WebSocket can be
    /// opened to.
    pub fn decode(text: &str) -> Result<Self, WireError> {
        let mut map = parse_object("route", text)?;
        Ok(Self {
            server: socket(server(&mut map, "server")?)?,
            secondary: take_text(&mut map, "secondary").filter(|url| is_socket(url)),
            ttl_secs: ttl(&mut map),
        })
    }

    /// Writes an answer with the five keys that SDKs read. `secondary` is never missing, for some
    /// of them fail without it.
    #[must_use]
    pub fn encode(&self) -> Value {
        json!({
            "groupId": "sampan",
            "groupUrl": self.server,
            "server": self.server,
            "secondary": self.secondary.as_ref().unwrap_or(&self.server),
            "ttl": self.ttl_secs,
        })
    }
}

/// The answer of `GET /2/route`: which hosts serve an application. Hosts have no scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppRoute {
    /// HTTP endpoints.
    pub api_server: String,
    /// The router that answers with a [`Route`].
    pub rtm_router_server: String,
    /// The time for which the answer may be used, in seconds.
    pub ttl_secs: u64,
}

impl AppRoute {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`WireError::MalformedJson`] when it is no object, or a host is missing.
    pub fn decode(text: &str) -> Result<Self, WireError> {
        let mut map = parse_object("route", text)?;
        Ok(Self {
            api_server: server(&mut map, "api_server")?,
            rtm_router_server: server(&mut map, "rtm_router_server")?,
            ttl_secs: ttl(&mut map),
        })
    }

    /// Writes an answer with a host under every key. The C# SDK takes `push_server` for the router.
    #[must_use]
    pub fn encode(&self) -> Value {
        json!({
            "api_server": self.api_server,
            "engine_server": self.api_server,
            "push_server": self.rtm_router_server,
            "rtm_router_server": self.rtm_router_server,
            "stats_server": self.api_server,
            "ttl": self.ttl_secs,
        })
    }
}

fn server(map: &mut Map<String, Value>, key: &str) -> Result<String, WireError> {
    take_text(map, key)
        .filter(|url| !url.is_empty())
        .ok_or_else(|| WireError::MalformedJson {
            part: "route",
            reason: format!("it has no {key}"),
        })
}

/// The URL, if it has the scheme of a WebSocket and a host.
fn socket(url: String) -> Result<String, WireError> {
    if is_socket(&url) {
        return Ok(url);
    }
    Err(WireError::MalformedJson {
        part: "route",
        reason: "its server is no URL of a WebSocket".to_owned(),
    })
}

fn is_socket(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    let known = ["ws", "wss"]
        .iter()
        .any(|it| scheme.eq_ignore_ascii_case(it));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let odd = |c: char| c.is_whitespace() || c.is_control();
    known && !authority.is_empty() && !authority.starts_with(':') && !rest.contains(odd)
}

fn ttl(map: &mut Map<String, Value>) -> u64 {
    take_if(map, "ttl", whole).unwrap_or(TTL_SECS_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_comes_back_and_always_has_a_second_url() {
        let route = Route {
            server: "ws://127.0.0.1:1/".into(),
            secondary: None,
            ttl_secs: 60,
        };
        let answer = route.encode();
        assert_eq!(answer.get("secondary"), Some(&json!("ws://127.0.0.1:1/")));
        let read = Route::decode(&answer.to_string()).unwrap();
        assert_eq!((read.server, read.ttl_secs), (route.server, 60));
    }

    #[test]
    fn an_answer_without_a_server_is_refused_and_one_without_ttl_is_not() {
        assert!(Route::decode("{}").is_err());
        for url in [
            "",
            "http:",
            "x",
            "wss://",
            "wss://:1",
            "ws:///path",
            "https://a",
            "wss://a b",
        ] {
            let answer = json!({"server": url}).to_string();
            assert!(Route::decode(&answer).is_err(), "{url}");
        }
        let answer = r#"{"server":"ws://[::1]:80/x?y","secondary":"http:"}"#;
        assert_eq!(Route::decode(answer).map(|it| it.secondary), Ok(None));
        let route = Route::decode(r#"{"server":"wss://a","secondary":null}"#).unwrap();
        assert_eq!((route.secondary, route.ttl_secs), (None, 3600));
        assert!(AppRoute::decode(r#"{"api_server":"a"}"#).is_err());
    }

    #[test]
    fn an_app_route_comes_back() {
        let route = AppRoute {
            api_server: "api.example".into(),
            rtm_router_server: "rtm.example".into(),
            ttl_secs: 5,
        };
        assert_eq!(AppRoute::decode(&route.encode().to_string()), Ok(route));
    }
}
