//! The meaning of an answer: go on, wait, try again, or stop with a reason that a person can act on.

use std::time::Duration;

use serde::Deserialize;

use super::server::{Answer, MasterKey};

/// A reason to stop: asking again would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// The key is not the app's master key.
    #[error(
        "the service refuses the key ({0}). It must be the *master* key of this app, as the console \
         shows it under Settings, App keys. Nothing that was saved is touched"
    )]
    WrongKey(String),
    /// The app is not there, or not any more.
    #[error(
        "the service does not know this app, or has shut it down ({0}). What was saved stays as it is"
    )]
    AppGone(String),
    /// The address answers, but not as the interface does.
    #[error(
        "this address does not serve the history of messages ({0}); is it the app's own API domain?"
    )]
    NoHistory(String),
    /// The service refuses the request itself.
    #[error("the service refuses the request ({0})")]
    Refused(String),
    /// The answer is elsewhere; the key is not sent there.
    #[error("the service sends the request elsewhere, to {0}; give that address if you trust it")]
    Elsewhere(String),
}

/// The meaning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The body is the requested content.
    Good,
    /// The thing that was asked for is not there.
    Gone(String),
    /// Too many requests.
    Limited(Option<Duration>),
    /// The service is in trouble; the same request may succeed later.
    Unwell(String),
    /// The same request will not succeed later.
    Fatal(Fatal),
}

#[derive(Deserialize)]
struct Refusal {
    code: Option<i64>,
    error: Option<String>,
}

/// Judges an answer. Its words are shown without the key, and cut short.
#[must_use]
pub fn judge(answer: &Answer, key: &MasterKey) -> Verdict {
    let refusal = serde_json::from_slice::<Refusal>(&answer.body).ok();
    let code = refusal.as_ref().and_then(|it| it.code);
    let words = refusal.and_then(|it| it.error).unwrap_or_default();
    let words: String = key
        .hidden_in(&words)
        .chars()
        .filter(|one| !one.is_control())
        .take(200)
        .collect();
    let shown = match code {
        Some(code) => format!("HTTP {}, code {code}: {words}", answer.status),
        None => format!("HTTP {}", answer.status),
    };
    match answer.status {
        200 => Verdict::Good,
        300..=399 => {
            let there = answer.location.clone().unwrap_or_default();
            Verdict::Fatal(Fatal::Elsewhere(key.hidden_in(&there)))
        }
        401 | 403 => Verdict::Fatal(Fatal::WrongKey(shown)),
        404 | 410 if code == Some(4100) || words.contains("APP_NOT_AVAILABLE") => {
            Verdict::Fatal(Fatal::AppGone(shown))
        }
        410 => Verdict::Fatal(Fatal::AppGone(shown)),
        404 => Verdict::Gone(shown),
        429 => Verdict::Limited(answer.retry_after),
        408 | 500..=599 => Verdict::Unwell(shown),
        _ => Verdict::Fatal(Fatal::Refused(shown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, body: &str) -> Verdict {
        let answer = Answer {
            status,
            date: None,
            retry_after: None,
            location: Some("https://other.example/".to_owned()),
            body: body.to_owned().into(),
        };
        judge(&answer, &MasterKey::new("hidden").unwrap())
    }

    #[test]
    fn each_answer_has_its_meaning() {
        assert_eq!(verdict(200, "[]"), Verdict::Good);
        assert_eq!(verdict(429, ""), Verdict::Limited(None));
        assert!(matches!(verdict(503, "<html>"), Verdict::Unwell(_)));
        assert!(matches!(verdict(404, r#"{"code":1}"#), Verdict::Gone(_)));
        assert!(matches!(
            verdict(404, r#"{"code":4100}"#),
            Verdict::Fatal(Fatal::AppGone(_))
        ));
        assert!(matches!(
            verdict(410, "<html>gone</html>"),
            Verdict::Fatal(Fatal::AppGone(_))
        ));
        assert!(matches!(
            verdict(401, ""),
            Verdict::Fatal(Fatal::WrongKey(_))
        ));
        assert!(matches!(
            verdict(302, ""),
            Verdict::Fatal(Fatal::Elsewhere(_))
        ));
        assert!(matches!(
            verdict(400, ""),
            Verdict::Fatal(Fatal::Refused(_))
        ));
    }

    #[test]
    fn a_service_that_repeats_the_key_does_not_get_it_shown() {
        let shown = format!(
            "{:?}",
            verdict(401, r#"{"code":401,"error":"bad key hidden"}"#)
        );
        assert!(
            shown.contains("bad key") && !shown.contains("hidden"),
            "{shown}"
        );
    }
}
