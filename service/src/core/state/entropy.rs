//! Randomness as an input: the shell passes the system's, a simulation a seeded one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan::model::{ClientId, ConversationId, InvalidId, MessageId, Timestamp};

use crate::storage::message_id;

/// A source of random bytes. In a running service it must be unpredictable: session tokens are
/// made of it.
pub trait Entropy: Send {
    /// Fills `bytes`.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Makes ids and tokens out of random bytes.
pub(in crate::core) struct Names {
    entropy: Box<dyn Entropy>,
    /// Counts ids of messages.
    messages: u64,
}

impl Names {
    pub(in crate::core) fn new(entropy: Box<dyn Entropy>) -> Self {
        Self {
            entropy,
            messages: 0,
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }

    /// The id of a message with this time: 60 bits of it are random.
    pub(in crate::core) fn message(&mut self, at: Timestamp) -> Result<MessageId, InvalidId> {
        let count = self.messages;
        self.messages = self.messages.wrapping_add(1);
        let random = URL_SAFE_NO_PAD.encode(self.bytes::<8>());
        message_id(at, count, &random)
    }

    /// 24 lower-case hex digits: an object id.
    pub(in crate::core) fn conversation(&mut self) -> Result<ConversationId, InvalidId> {
        ConversationId::new(hex(&self.bytes::<12>()))
    }

    /// The prefix that all SDKs know temporary conversations by, and 32 hex digits.
    pub(in crate::core) fn temporary(&mut self) -> Result<ConversationId, InvalidId> {
        let digits = hex(&self.bytes::<16>());
        ConversationId::new(format!("{}{digits}", ConversationId::TEMPORARY_PREFIX))
    }

    /// The id of a client that gave none.
    pub(in crate::core) fn client(&mut self) -> Result<ClientId, InvalidId> {
        ClientId::new(URL_SAFE_NO_PAD.encode(self.bytes::<16>()))
    }

    /// A session token: 192 bits, nobody guesses it.
    pub(in crate::core) fn token(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<24>())
    }

    /// A nonce or an object id of something that is not a conversation.
    pub(in crate::core) fn object(&mut self) -> String {
        hex(&self.bytes::<12>())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ones;
    impl Entropy for Ones {
        fn fill(&mut self, bytes: &mut [u8]) {
            bytes.fill(1);
        }
    }

    #[test]
    fn ids_have_the_forms_that_sdks_know() {
        let mut names = Names::new(Box::new(Ones));
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(names.message(now).unwrap().as_str().len(), 22);
        for _ in 0..100_000 {
            let (first, second) = (names.message(now).unwrap(), names.message(now).unwrap());
            assert!(first < second, "{first} {second}");
        }
        assert_eq!(names.conversation().unwrap().as_str(), "01".repeat(12));
        assert!(names.temporary().unwrap().is_temporary());
    }
}
