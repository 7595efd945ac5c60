//! The proof of a caller: signatures of an app's own server, and the keys of REST callers.
//!
//! An app switches signatures on to decide itself who may sign in, or who may change a conversation. Its own
//! server then signs each such operation with the master key, which no client has. The wire has the texts that
//! are signed; this file has the settings and the age.

use std::fmt;

use sampan::model::{ClientId, Timestamp};
use sampan::wire::ServiceCode;
use sampan::wire::signature::{KeyKind, RequestSign, SignedAction, SignedOperation};

use super::app::{App, Credentials};
use super::settings::{Settings, Signatures};

/// Numbers below this are seconds: as milliseconds they would lie before March 1973.
const LEAST_MILLIS: i64 = 100_000_000_000;

/// The mark behind the key when it is the master key.
const MASTER_MARK: &str = ",master";

/// The reason why a signature is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is none, or a part of it is missing.
    #[error("the signature is missing")]
    Missing,
    /// Its time is too far from now, in the past or in the future.
    #[error("the signature is too old")]
    Expired,
    /// The signature is of another operation, or of none.
    #[error("the signature is wrong")]
    Wrong,
    /// An id or the nonce has a `:`, by which the parts of the text are told apart: the signature
    /// could be meant for another operation.
    #[error("a signature covers no id and no nonce with a colon")]
    Ambiguous,
    /// The signature was used before.
    #[error("the signature was used already")]
    Used,
}

/// A signature that was accepted, to be remembered until it is too old to be accepted again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The signature, in lower case.
    pub signature: String,
    /// The time at which it is too old.
    pub until: Timestamp,
}

/// A signature as presented.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The time at which it was made, in milliseconds or seconds; signed as it stands.
    pub timestamp: i64,
    /// Any text.
    pub nonce: &'a str,
    /// Forty hexadecimal digits.
    pub signature: &'a str,
}

impl<'a> Presented<'a> {
    /// The signature in the fields of a command, if all of it is there.
    #[must_use]
    pub fn from_fields(
        timestamp: Option<i64>,
        nonce: Option<&'a str>,
        signature: Option<&'a str>,
    ) -> Option<Self> {
        Some(Self {
            timestamp: timestamp?,
            nonce: nonce?,
            signature: signature?,
        })
    }

    /// The time of the signature, from either unit.
    fn made_at(&self) -> Timestamp {
        if self.timestamp < LEAST_MILLIS {
            Timestamp::from_millis(self.timestamp.saturating_mul(1000))
        } else {
            Timestamp::from_millis(self.timestamp)
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presented({})", self.timestamp)
    }
}

/// The number that refuses an action when its signature is not accepted.
#[must_use]
pub const fn refusal(action: &SignedAction<'_>) -> ServiceCode {
    match action {
        SignedAction::Login | SignedAction::Watch { .. } => ServiceCode::SIGNATURE_FAILED,
        SignedAction::Block { .. } | SignedAction::Unblock { .. } => {
            ServiceCode::BLACKLIST_SIGNATURE_FAILED
        }
        SignedAction::History { .. } => ServiceCode::CONVERSATION_LOG_REJECTED,
        _ => ServiceCode::CONVERSATION_SIGNATURE_FAILED,
    }
}

/// The same action as servers of the first generation sign it, where their text is another one: a client that makes a
/// group or joins one alone. They sign invitations and removals with the text of today.
fn first_generation<'a>(client: &ClientId, action: &SignedAction<'a>) -> Option<SignedAction<'a>> {
    let (group, members) = match *action {
        SignedAction::Start { members } => ("", members),
        SignedAction::Invite {
            conversation,
            members,
        } => (conversation.as_str(), members),
        _ => return None,
    };
    (members == [client.clone()]).then_some(SignedAction::Group {
        group,
        peers: &[],
        action: "join",
    })
}

/// Checks the signature of an action that the app's settings want signed. An action that needs no signature
/// passes with anything, and the answer is `None`. History over REST always needs a signature, which replaces
/// the master key there. The caller checks if the signature was used before.
///
/// # Errors
///
/// [`SignatureError`], to be answered with [`refusal`].
pub fn check(
    app: &App,
    client: &ClientId,
    action: SignedAction<'_>,
    presented: Option<Presented<'_>>,
    now: Timestamp,
) -> Result<Option<Accepted>, SignatureError> {
    if !is_required(&app.settings.signatures, &action) {
        return Ok(None);
    }
    let presented = presented.ok_or(SignatureError::Missing)?;
    if is_ambiguous(client, &action, presented.nonce) {
        return Err(SignatureError::Ambiguous);
    }
    let operation = SignedOperation {
        app_id: &app.credentials.id,
        client_id: client,
        action,
        timestamp: presented.timestamp,
        nonce: presented.nonce,
    };
    let signature = presented.signature.to_ascii_lowercase();
    let key = app.credentials.master_key.expose();
    let older = first_generation(client, &action).map(|action| SignedOperation {
        action,
        ..operation.clone()
    });
    if !operation.verify(key, &signature) && !older.is_some_and(|it| it.verify(key, &signature)) {
        return Err(SignatureError::Wrong);
    }
    if is_fresh(presented.made_at(), now, &app.settings) {
        let max_age = app.settings.signatures.max_age();
        let until = presented.made_at().saturating_add(max_age);
        Ok(Some(Accepted { signature, until }))
    } else {
        Err(SignatureError::Expired)
    }
}

/// True if a part of the text has a colon, so that the text could be read in two ways.
fn is_ambiguous(client: &ClientId, action: &SignedAction<'_>, nonce: &str) -> bool {
    let (conversation, others): (Option<&str>, &[ClientId]) = match action {
        SignedAction::Login => (None, &[]),
        SignedAction::Start { members } => (None, members),
        SignedAction::Invite {
            conversation,
            members,
        }
        | SignedAction::Kick {
            conversation,
            members,
        }
        | SignedAction::Block {
            conversation,
            members,
        }
        | SignedAction::Unblock {
            conversation,
            members,
        } => (Some(conversation.as_str()), members),
        SignedAction::History { conversation } => (Some(conversation.as_str()), &[]),
        SignedAction::Watch { peers } => (None, peers),
        SignedAction::Group { group, peers, .. } => (Some(group), peers),
    };
    let mut parts = [client.as_str(), nonce]
        .into_iter()
        .chain(conversation)
        .chain(others.iter().map(ClientId::as_str));
    parts.any(|part| part.contains(':'))
}

/// The kind of key that a REST request proves, by `X-LC-Key`, or by `X-LC-Sign` in its place.
///
/// `None` means that the caller has neither key. A signature by the master key is believed no
/// longer than other signatures; one by the app's key at any age, as the key is in every client
/// and clocks of phones are wrong.
#[must_use]
pub fn caller(app: &App, key: Option<&str>, sign: Option<&str>, now: Timestamp) -> Option<KeyKind> {
    match (key, sign) {
        (Some(key), _) => key_kind(&app.credentials, key),
        (None, Some(sign)) => {
            let app_key = app.credentials.key.expose();
            let proof = RequestSign::verify(sign, app_key, app.credentials.master_key.expose())?;
            let is_believed = proof.key == KeyKind::App || is_fresh(proof.at, now, &app.settings);
            is_believed.then_some(proof.key)
        }
        (None, None) => None,
    }
}

fn key_kind(credentials: &Credentials, key: &str) -> Option<KeyKind> {
    if let Some(key) = key.strip_suffix(MASTER_MARK) {
        return credentials.master_key.is(key).then_some(KeyKind::Master);
    }
    credentials.key.is(key).then_some(KeyKind::App)
}

const fn is_required(settings: &Signatures, action: &SignedAction<'_>) -> bool {
    match action {
        SignedAction::Login | SignedAction::Watch { .. } => settings.login,
        SignedAction::Block { .. } | SignedAction::Unblock { .. } => settings.blacklist,
        SignedAction::History { .. } => true,
        _ => settings.conversation,
    }
}

fn is_fresh(made_at: Timestamp, now: Timestamp, settings: &Settings) -> bool {
    let age = now
        .saturating_since(made_at)
        .max(made_at.saturating_since(now));
    age <= settings.signatures.max_age()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sampan::model::ConversationId;
    use sampan::wire::signature::hmac_sha1_hex;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const HOUR_MS: i64 = 3_600_000;

    fn app(signatures: Signatures) -> App {
        let credentials = "myApp:myKey:0123456789abcdef01234567".parse().unwrap();
        App {
            credentials,
            settings: Settings {
                signatures,
                ..Settings::default()
            },
        }
    }

    fn everything_signed() -> App {
        app(Signatures {
            login: true,
            conversation: true,
            blacklist: true,
            ..Signatures::default()
        })
    }

    fn login(app: &App, timestamp: i64, signature: &str) -> Result<(), SignatureError> {
        let presented = Presented {
            timestamp,
            nonce: "nonce1",
            signature,
        };
        let tom = ClientId::new("Tom").unwrap();
        check(app, &tom, SignedAction::Login, Some(presented), NOW).map(|_| ())
    }

    fn signed_at(timestamp: i64) -> String {
        hmac_sha1_hex(
            "0123456789abcdef01234567",
            &format!("myApp:Tom::{timestamp}:nonce1"),
        )
    }

    #[test]
    fn a_signature_is_asked_for_only_where_the_app_wants_one() {
        let tom = ClientId::new("Tom").unwrap();
        let members = [tom.clone()];
        let start = SignedAction::Start { members: &members };
        let check = |app: &App, action| check(app, &tom, action, None, NOW).map(|_| ());
        assert_eq!(
            check(&app(Signatures::default()), SignedAction::Login),
            Ok(())
        );
        let only_login = app(Signatures {
            login: true,
            ..Signatures::default()
        });
        assert_eq!(
            check(&only_login, SignedAction::Login),
            Err(SignatureError::Missing)
        );
        assert_eq!(check(&only_login, start), Ok(()));
        assert_eq!(
            check(&everything_signed(), start),
            Err(SignatureError::Missing)
        );
        assert_eq!(refusal(&SignedAction::Login), ServiceCode::SIGNATURE_FAILED);
        assert_eq!(refusal(&start), ServiceCode::CONVERSATION_SIGNATURE_FAILED);
    }

    #[test]
    fn a_right_signature_is_accepted_and_one_of_another_text_is_not() {
        let app = everything_signed();
        let signature = "c85a16ce915e69a5ef41186517146c233fb57e60";
        assert_eq!(login(&app, 1_700_000_000_000, signature), Ok(()));
        assert_eq!(
            login(&app, 1_700_000_000_000, &signature.to_uppercase()),
            Ok(())
        );
        assert_eq!(
            login(&app, 1_700_000_000_001, signature),
            Err(SignatureError::Wrong)
        );
        assert_eq!(
            login(&app, 1_700_000_000_000, ""),
            Err(SignatureError::Wrong)
        );
    }

    #[test]
    fn a_signature_is_good_for_six_hours_to_either_side_in_both_units() {
        let app = everything_signed();
        let at = |timestamp: i64| login(&app, timestamp, &signed_at(timestamp));
        let now = NOW.as_millis();
        assert_eq!(at(now - 6 * HOUR_MS), Ok(()));
        assert_eq!(at(now - 6 * HOUR_MS - 1), Err(SignatureError::Expired));
        assert_eq!(at(now + 6 * HOUR_MS + 1), Err(SignatureError::Expired));
        assert_eq!(at(now / 1000 - 6 * 3600), Ok(()));
        assert_eq!(at(now / 1000 - 6 * 3600 - 1), Err(SignatureError::Expired));
        assert_eq!(at(i64::MIN), Err(SignatureError::Expired));
    }

    /// One text, two operations: nobody knows which of them the app's server meant.
    #[test]
    fn a_text_that_can_be_read_in_two_ways_is_not_accepted() {
        let app = everything_signed();
        let (cid, tom) = (
            ConversationId::new("5f0c0e3a9d1f2b0006a1b2c3").unwrap(),
            ClientId::new("Tom").unwrap(),
        );
        let timestamp = NOW.as_millis();
        let try_out = |client: &str, action: SignedAction<'_>, nonce: &str| {
            let client = ClientId::new(client).unwrap();
            let operation = SignedOperation {
                app_id: &app.credentials.id,
                client_id: &client,
                action,
                timestamp,
                nonce,
            };
            let signature = &operation.sign(app.credentials.master_key.expose());
            let presented = Presented {
                timestamp,
                nonce,
                signature,
            };
            check(&app, &client, action, Some(presented), NOW).map(|_| ())
        };
        let two = [tom.clone(), ClientId::new("a:b").unwrap()];
        let ambiguous = Err(SignatureError::Ambiguous);
        assert_eq!(try_out("Tom:Jerry", SignedAction::Login, "n"), ambiguous);
        assert_eq!(try_out("Tom", SignedAction::Login, "n:invite"), ambiguous);
        for action in [
            SignedAction::Start { members: &two },
            SignedAction::Invite {
                conversation: &cid,
                members: &two,
            },
            SignedAction::Kick {
                conversation: &cid,
                members: &two,
            },
            SignedAction::Block {
                conversation: &cid,
                members: &two,
            },
            SignedAction::Unblock {
                conversation: &cid,
                members: &two,
            },
        ] {
            assert_eq!(try_out("Tom", action, "n"), ambiguous, "{action:?}");
        }
        let members = [tom];
        let start = SignedAction::Start { members: &members };
        assert_eq!(try_out("Tom", start, "n"), Ok(()));
    }

    #[test]
    fn a_rest_caller_is_told_apart_by_its_key() {
        let app = app(Signatures::default());
        let key = |key: &str| caller(&app, Some(key), None, NOW);
        assert_eq!(key("myKey"), Some(KeyKind::App));
        assert_eq!(
            key("0123456789abcdef01234567,master"),
            Some(KeyKind::Master)
        );
        for wrong in [
            "",
            ",master",
            "myKey,master",
            "0123456789abcdef01234567",
            "mykey",
        ] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
        assert_eq!(caller(&app, None, None, NOW), None);
    }

    #[test]
    fn a_header_signed_with_the_master_key_ages_and_one_with_the_apps_key_does_not() {
        let app = app(Signatures::default());
        let signed = |kind, millis, key: &str| {
            let sign = RequestSign {
                key: kind,
                at: Timestamp::from_millis(millis),
            }
            .header(key);
            caller(&app, None, Some(&sign), NOW)
        };
        let master = "0123456789abcdef01234567";
        assert_eq!(signed(KeyKind::App, 0, "myKey"), Some(KeyKind::App));
        assert_eq!(
            signed(KeyKind::Master, NOW.as_millis(), master),
            Some(KeyKind::Master)
        );
        assert_eq!(signed(KeyKind::Master, 0, master), None);
        assert_eq!(signed(KeyKind::Master, NOW.as_millis(), "myKey"), None);
    }

    #[test]
    fn a_signature_is_never_shown() {
        let presented = Presented {
            timestamp: 1,
            nonce: "hidden1",
            signature: "hidden2",
        };
        assert!(!format!("{presented:?}").contains("hidden"));
    }

    proptest! {
        #[test]
        fn any_header_is_a_proof_or_none(key in "(?s).{0,60}", sign in "(?s)[0-9a-f,]{0,60}") {
            let app = app(Signatures::default());
            prop_assert_eq!(caller(&app, Some(&key), None, NOW), None);
            prop_assert_eq!(caller(&app, None, Some(&sign), NOW), None);
        }
    }
}
