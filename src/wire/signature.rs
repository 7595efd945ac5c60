//! Signatures: the texts that are signed for an operation, and the algorithms.
//!
//! The key is the application's master key. The protocol demands the algorithms: HMAC-SHA1, and MD5 for the
//! header of HTTP requests. Signatures are compared in constant time.

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

use crate::model::{AppId, ClientId, ConversationId, Timestamp};

/// An operation that an app's own server signs: everything the signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOperation<'a> {
    /// The application.
    pub app_id: &'a AppId,
    /// The client that does it.
    pub client_id: &'a ClientId,
    /// The action.
    pub action: SignedAction<'a>,
    /// The timestamp as it travels beside the signature: milliseconds, or seconds in old clients.
    pub timestamp: i64,
    /// The nonce as it travels beside the signature.
    pub nonce: &'a str,
}

/// The action that a signature allows. Lists may be in any order: the text has them sorted by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedAction<'a> {
    /// Signs in.
    Login,
    /// Starts a conversation with these members.
    Start {
        /// The members as sent.
        members: &'a [ClientId],
    },
    /// Adds members, or joins.
    Invite {
        /// The conversation.
        conversation: &'a ConversationId,
        /// The members as sent.
        members: &'a [ClientId],
    },
    /// Removes members.
    Kick {
        /// The conversation.
        conversation: &'a ConversationId,
        /// The members as sent.
        members: &'a [ClientId],
    },
    /// Puts clients on a conversation's block list.
    Block {
        /// The conversation.
        conversation: &'a ConversationId,
        /// The clients as sent.
        members: &'a [ClientId],
    },
    /// Takes clients off a conversation's block list.
    Unblock {
        /// The conversation.
        conversation: &'a ConversationId,
        /// The clients as sent.
        members: &'a [ClientId],
    },
    /// Reads history over HTTP; nonce and timestamp change places in its text.
    History {
        /// The conversation.
        conversation: &'a ConversationId,
    },
    /// Signs in and watches peers; first generation API.
    Watch {
        /// The peers as sent.
        peers: &'a [ClientId],
    },
    /// An operation on a group; first generation API.
    Group {
        /// The group; empty when it is created.
        group: &'a str,
        /// The peers as sent; none to join.
        peers: &'a [ClientId],
        /// `join`, `invite` or `kick`.
        action: &'a str,
    },
}

impl SignedOperation<'_> {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let start = format!("{}:{}", self.app_id, self.client_id);
        let end = format!("{}:{}", self.timestamp, self.nonce);
        let on = |conversation: &str, members: &[ClientId], action: &str| {
            format!("{start}:{conversation}:{}:{end}:{action}", sorted(members))
        };
        match self.action {
            SignedAction::Login => format!("{start}::{end}"),
            SignedAction::Start { members } | SignedAction::Watch { peers: members } => {
                format!("{start}:{}:{end}", sorted(members))
            }
            SignedAction::Invite {
                conversation,
                members,
            } => on(conversation.as_str(), members, "invite"),
            SignedAction::Kick {
                conversation,
                members,
            } => on(conversation.as_str(), members, "kick"),
            SignedAction::Block {
                conversation,
                members,
            } => on(conversation.as_str(), members, "conversation-block-clients"),
            SignedAction::Unblock {
                conversation,
                members,
            } => on(
                conversation.as_str(),
                members,
                "conversation-unblock-clients",
            ),
            SignedAction::History { conversation } => {
                format!("{start}:{conversation}:{}:{}", self.nonce, self.timestamp)
            }
            SignedAction::Group {
                group,
                peers,
                action,
            } => on(group, peers, action),
        }
    }

    /// Signs the operation.
    #[must_use]
    pub fn sign(&self, master_key: &str) -> String {
        hmac_sha1_hex(master_key, &self.text())
    }

    /// True if `signature` is the one of this operation. The caller judges its age.
    #[must_use]
    pub fn verify(&self, master_key: &str, signature: &str) -> bool {
        same(&self.sign(master_key), signature)
    }
}

/// HMAC-SHA1 in lower-case hex.
#[must_use]
pub fn hmac_sha1_hex(key: &str, text: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(key.as_bytes()) else {
        // HMAC takes keys of every length.
        return String::new();
    };
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The key of an application that signed an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The app key, which ships with the app.
    App,
    /// The master key, which only servers have.
    Master,
}

/// The proof of an `X-LC-Sign` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSign {
    /// The key that its maker has.
    pub key: KeyKind,
    /// The time at which it was made, by its maker's clock.
    pub at: Timestamp,
}

impl RequestSign {
    /// The header's value: a hash of the time and the key, the time, and `master` if it is that
    /// key.
    #[must_use]
    pub fn header(self, key: &str) -> String {
        let millis = self.at.as_millis();
        let hash = hex(&Md5::digest(format!("{millis}{key}")));
        match self.key {
            KeyKind::App => format!("{hash},{millis}"),
            KeyKind::Master => format!("{hash},{millis},master"),
        }
    }

    /// The proof of a header, if it proves anything. The caller judges its age.
    #[must_use]
    pub fn verify(header: &str, app_key: &str, master_key: &str) -> Option<Self> {
        let mut parts = header.split(',').map(str::trim);
        let (_, millis) = (parts.next()?, parts.next()?);
        let at = Timestamp::from_millis(millis.parse().ok()?);
        let (key, secret) = match (parts.next(), parts.next()) {
            (None, _) => (KeyKind::App, app_key),
            (Some("master"), None) => (KeyKind::Master, master_key),
            _ => return None,
        };
        let sign = Self { key, at };
        same(&sign.header(secret), &header.replace(' ', "")).then_some(sign)
    }
}

fn sorted(ids: &[ClientId]) -> String {
    let mut ids: Vec<&str> = ids.iter().map(ClientId::as_str).collect();
    ids.sort_unstable();
    ids.join(":")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares without telling by the time it takes where the texts differ.
fn same(expected: &str, given: &str) -> bool {
    let differing = expected
        .bytes()
        .zip(given.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    expected.len() == given.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER_KEY: &str = "0123456789abcdef01234567";

    /// Signs as `Tom` of `myApp` with the nonce `nonce1`.
    fn check(action: SignedAction<'_>, timestamp: i64, text: &str, signature: &str) {
        let (app_id, client_id) = (AppId::new("myApp").unwrap(), ClientId::new("Tom").unwrap());
        let operation = SignedOperation {
            app_id: &app_id,
            client_id: &client_id,
            action,
            timestamp,
            nonce: "nonce1",
        };
        assert_eq!(operation.text(), text);
        assert_eq!(operation.sign(MASTER_KEY), signature);
        assert!(operation.verify(MASTER_KEY, signature));
        assert!(!operation.verify("another key", signature));
        assert!(!operation.verify(MASTER_KEY, ""));
    }

    fn clients<const N: usize>(ids: [&str; N]) -> [ClientId; N] {
        ids.map(|id| ClientId::new(id).unwrap())
    }

    #[test]
    fn signatures_are_those_of_the_protocol() {
        let conversation = &ConversationId::new("5f0c0e3a9d1f2b0006a1b2c3").unwrap();
        let millis = 1_700_000_000_000;
        check(
            SignedAction::Login,
            millis,
            "myApp:Tom::1700000000000:nonce1",
            "c85a16ce915e69a5ef41186517146c233fb57e60",
        );
        check(
            SignedAction::Start {
                members: &clients(["Tom", "Jerry"]),
            },
            millis,
            "myApp:Tom:Jerry:Tom:1700000000000:nonce1",
            "a4cfe187b074798c95dd48cb81736e48cf4f1a55",
        );
        check(
            SignedAction::Invite {
                conversation,
                members: &clients(["Jerry", "Bob"]),
            },
            millis,
            "myApp:Tom:5f0c0e3a9d1f2b0006a1b2c3:Bob:Jerry:1700000000000:nonce1:invite",
            "62faab74e8e67952ea1bdc4ef186fc26e68f6ad6",
        );
        check(
            SignedAction::Kick {
                conversation,
                members: &clients(["Jerry"]),
            },
            millis,
            "myApp:Tom:5f0c0e3a9d1f2b0006a1b2c3:Jerry:1700000000000:nonce1:kick",
            "46fa3688868c9a3a0bce8f0861032cafa7f5a276",
        );
        check(
            SignedAction::History { conversation },
            millis,
            "myApp:Tom:5f0c0e3a9d1f2b0006a1b2c3:nonce1:1700000000000",
            "f94e2f907539ad5f59a684476da2bd471cfb10cb",
        );
    }

    // S333, S334
    #[test]
    fn signatures_of_the_first_generation_are_those_of_the_protocol() {
        let peers = &clients(["Jerry", "Bob"]);
        check(
            SignedAction::Watch { peers },
            1_700_000_000,
            "myApp:Tom:Bob:Jerry:1700000000:nonce1",
            "7afd276bf502ec9e2162c377196b3c78eada3b90",
        );
        check(
            SignedAction::Group {
                group: "grp1",
                peers,
                action: "invite",
            },
            1_700_000_000,
            "myApp:Tom:grp1:Bob:Jerry:1700000000:nonce1:invite",
            "76ded458d032ae9e12d98217790c538853bc0b4b",
        );
    }

    #[test]
    fn the_header_of_a_request_is_the_one_of_the_protocol_and_proves_its_key() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let by_app = RequestSign {
            key: KeyKind::App,
            at,
        };
        let header = "075c45b72c236fadd93909461e4d476f,1700000000000";
        assert_eq!(by_app.header("myKey"), header);
        assert_eq!(RequestSign::verify(header, "myKey", "m"), Some(by_app));
        assert_eq!(RequestSign::verify(header, "other", "m"), None);

        let by_master = RequestSign {
            key: KeyKind::Master,
            at,
        };
        let header = by_master.header("m");
        assert_eq!(RequestSign::verify(&header, "myKey", "m"), Some(by_master));
        assert_eq!(RequestSign::verify(&header, "m", "another"), None);
        for bad in ["", ",", "a,b", "a,1,admin", "a,1,master,x"] {
            assert_eq!(RequestSign::verify(bad, "myKey", "m"), None, "{bad}");
        }
    }
}
