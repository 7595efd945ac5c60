//! The keys of the embedded storage: one function per kind of row.
//!
//! | tag | key after the tag | value |
//! |---|---|---|
//! | `s` | | the schema number, one byte |
//! | `w` | | how far the clock came: two times of eight bytes |
//! | `t` | app, digest | a session token |
//! | `x` | time, app, digest | nothing; finds tokens that ended |
//! | `r` | app, client or nothing | the tokens that are revoked of the app or of the client |
//! | `c` | app, client | what is known of a client |
//! | `v` | app, conversation | a conversation |
//! | `u` | app, unique id | the id of the unique conversation |
//! | `e` | time, app, conversation | nothing; finds temporary conversations that ended |
//! | `m` | app, conversation, client | a member |
//! | `b` | app, client, conversation | nothing; finds a client's conversations |
//! | `D` | app, conversation, time, message | a message (`message.rs`) |
//! | `I` | app, conversation, message | the time of a message whose id does not tell it (`dated.rs`) |
//! | `T` | app, conversation, digest of sender and token | the time of the message sent with that token, and its id where that does not tell the time |
//! | `d`, `i`, `k` | as above, as texts | the same, as schema 2 wrote it; read once (`upgrade.rs`) |
//! | `p` | app, conversation, patch time, message | the time of a patched message |
//! | `a` | app, time, message | a broadcast to all clients of the app |
//! | `h` | app, conversation, number | the columns of a conversation that has many: first all, then what changed |
//! | `n` | app, client, time, sequence | a notification for this client alone |
//! | `o` | app, conversation, time, sequence | a notification for the members of a conversation |
//! | `g` | app, time, sequence | a notification for some clients |
//! | `f` | app, client, time, sequence | nothing; finds the notifications for some clients |
//! | `q` | app, client, conversation, time, message | nothing; written by schema 1, read once (`upgrade.rs`) |
//! | `l` | app, conversation, list, client | nothing; blocked or silenced |
//! | `y` | app, object id | a device that can be pushed to |
//! | `j` | app, token or own id | the object id of a device |
//! | `z` | app, client, object id | nothing; finds the devices of a client |
//! | `Z` | app, object id, client | nothing; a client that signed in on a device |
//! | `Y` | app, object id | the number on the icon of a device, four bytes |
//! | `C` | app, conversation, message | the claims about a message that was loaded |
//! | `K` | app, conversation | the claims about a conversation that was loaded |
//!
//! Texts carry their length in front, so one text is never another's prefix; the last one of a key
//! may go without, and then sorts by its bytes. `D`, `I` and `T` have app and conversation in the short form of
//! `short.rs`. Times are big-endian with the sign bit turned, so
//! byte order is the order of time. The layout does not depend on the machine.

use sampan::model::{AppId, ClientId, ConversationId, MessageId, Timestamp};
use sha2::{Digest as _, Sha256};

use super::StorageError;
use super::record::{Ban, Place};
use super::short::{lengthen, shorten};

/// Bytes of the digest of a sender and its token: nobody finds two with the same.
const TOKEN_DIGEST_BYTES: usize = 16;

/// A key under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<u8>);

impl Key {
    fn tagged(tag: u8) -> Self {
        Self(vec![tag])
    }

    fn text(mut self, text: &str) -> Self {
        // Ids are at most 64 characters; longer texts (tokens of clients) are cut off by the rules.
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.rest(text)
    }

    fn rest(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// A text whose place in the order of keys is of no matter.
    fn short(mut self, text: &str) -> Self {
        let short = shorten(text);
        // An id has 64 characters at most, of four bytes each.
        let length = u16::try_from(short.len()).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(&short);
        self
    }

    pub(super) fn time(mut self, time: Timestamp) -> Self {
        self.0
            .extend_from_slice(&(time.as_millis() ^ i64::MIN).to_be_bytes());
        self
    }

    fn number(mut self, number: u32) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// The first key after this one.
    pub(super) fn next(mut self) -> Vec<u8> {
        self.0.push(0);
        self.0
    }

    /// The first key that does not start with this one.
    pub(super) fn end(self) -> Vec<u8> {
        let mut bytes = self.0;
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                return bytes;
            }
        }
        vec![u8::MAX]
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

pub(super) fn schema() -> Key {
    Key::tagged(b's')
}

pub(super) fn clock() -> Key {
    Key::tagged(b'w')
}

pub(super) fn token(app: &AppId, digest: &str) -> Key {
    Key::tagged(b't').text(app.as_str()).rest(digest)
}

pub(super) fn token_ends(at: Timestamp) -> Key {
    Key::tagged(b'x').time(at)
}

pub(super) fn token_end(at: Timestamp, app: &AppId, digest: &str) -> Key {
    token_ends(at).text(app.as_str()).rest(digest)
}

pub(super) fn revocation(app: &AppId, client: Option<&ClientId>) -> Key {
    let client = client.map_or("", ClientId::as_str);
    Key::tagged(b'r').text(app.as_str()).rest(client)
}

pub(super) fn client(app: &AppId, client: &ClientId) -> Key {
    Key::tagged(b'c').text(app.as_str()).rest(client.as_str())
}

pub(super) fn conversations(app: &AppId) -> Key {
    Key::tagged(b'v').text(app.as_str())
}

pub(super) fn conversation(app: &AppId, id: &ConversationId) -> Key {
    conversations(app).rest(id.as_str())
}

pub(super) fn unique(app: &AppId, unique_id: &str) -> Key {
    Key::tagged(b'u').text(app.as_str()).rest(unique_id)
}

pub(super) fn expiries(at: Timestamp) -> Key {
    Key::tagged(b'e').time(at)
}

pub(super) fn expiry(at: Timestamp, app: &AppId, id: &ConversationId) -> Key {
    expiries(at).text(app.as_str()).rest(id.as_str())
}

pub(super) fn members(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'm')
        .text(app.as_str())
        .text(conversation.as_str())
}

pub(super) fn member(app: &AppId, conversation: &ConversationId, client: &ClientId) -> Key {
    members(app, conversation).rest(client.as_str())
}

pub(super) fn memberships(app: &AppId, client: &ClientId) -> Key {
    Key::tagged(b'b').text(app.as_str()).text(client.as_str())
}

pub(super) fn membership(app: &AppId, client: &ClientId, conversation: &ConversationId) -> Key {
    memberships(app, client).rest(conversation.as_str())
}

pub(super) fn messages(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'D')
        .short(app.as_str())
        .short(conversation.as_str())
}

pub(super) fn messages_at(app: &AppId, conversation: &ConversationId, at: Timestamp) -> Key {
    messages(app, conversation).time(at)
}

pub(super) fn message(app: &AppId, conversation: &ConversationId, place: &Place) -> Key {
    messages_at(app, conversation, place.sent_at).rest(place.id.as_str())
}

pub(super) fn claim(app: &AppId, conversation: &ConversationId, id: &MessageId) -> Key {
    Key::tagged(b'C')
        .text(app.as_str())
        .text(conversation.as_str())
        .rest(id.as_str())
}

pub(super) fn known(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'K')
        .text(app.as_str())
        .rest(conversation.as_str())
}

pub(super) fn message_ids(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'I')
        .short(app.as_str())
        .short(conversation.as_str())
}

pub(super) fn message_id(app: &AppId, conversation: &ConversationId, id: &MessageId) -> Key {
    message_ids(app, conversation).rest(id.as_str())
}

pub(super) fn sent_tokens(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'T')
        .short(app.as_str())
        .short(conversation.as_str())
}

pub(super) fn sent_token(
    app: &AppId,
    conversation: &ConversationId,
    from: &ClientId,
    token: &str,
) -> Key {
    let mut digest = Sha256::new();
    // The length too: a letter must not pass from the client into the token.
    digest.update((from.as_str().len() as u64).to_le_bytes());
    digest.update(from.as_str());
    digest.update(token);
    let digest = digest.finalize();
    let mut key = sent_tokens(app, conversation);
    key.0.extend(digest.iter().take(TOKEN_DIGEST_BYTES));
    key
}

pub(super) fn patches(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'p')
        .text(app.as_str())
        .text(conversation.as_str())
}

pub(super) fn patches_at(app: &AppId, conversation: &ConversationId, at: Timestamp) -> Key {
    patches(app, conversation).time(at)
}

pub(super) fn patch(
    app: &AppId,
    conversation: &ConversationId,
    at: Timestamp,
    id: &MessageId,
) -> Key {
    patches_at(app, conversation, at).rest(id.as_str())
}

pub(super) fn all_notifications() -> Key {
    Key::tagged(b'n')
}

pub(super) fn notifications(app: &AppId, client: &ClientId) -> Key {
    all_notifications().text(app.as_str()).text(client.as_str())
}

pub(super) fn notifications_at(app: &AppId, client: &ClientId, at: Timestamp) -> Key {
    notifications(app, client).time(at)
}

pub(super) fn notification(app: &AppId, client: &ClientId, at: Timestamp, sequence: u32) -> Key {
    notifications_at(app, client, at).number(sequence)
}

pub(super) fn broadcasts_at(app: &AppId, at: Timestamp) -> Key {
    Key::tagged(b'a').text(app.as_str()).time(at)
}

pub(super) fn broadcast(app: &AppId, place: &Place) -> Key {
    broadcasts_at(app, place.sent_at).rest(place.id.as_str())
}

pub(super) fn broadcasts(app: &AppId) -> Key {
    Key::tagged(b'a').text(app.as_str())
}

pub(super) fn all_notices() -> Key {
    Key::tagged(b'o')
}

pub(super) fn notices(app: &AppId, conversation: &ConversationId) -> Key {
    all_notices().text(app.as_str()).text(conversation.as_str())
}

pub(super) fn notices_at(app: &AppId, conversation: &ConversationId, at: Timestamp) -> Key {
    notices(app, conversation).time(at)
}

pub(super) fn notice(
    app: &AppId,
    conversation: &ConversationId,
    at: Timestamp,
    sequence: u32,
) -> Key {
    notices_at(app, conversation, at).number(sequence)
}

pub(super) fn single_notices(app: &AppId) -> Key {
    Key::tagged(b'g').text(app.as_str())
}

pub(super) fn single_notices_at(app: &AppId, at: Timestamp) -> Key {
    single_notices(app).time(at)
}

pub(super) fn single_notice(app: &AppId, at: Timestamp, sequence: u32) -> Key {
    single_notices_at(app, at).number(sequence)
}

pub(super) fn all_references() -> Key {
    Key::tagged(b'f')
}

pub(super) fn references(app: &AppId, client: &ClientId) -> Key {
    all_references().text(app.as_str()).text(client.as_str())
}

pub(super) fn references_at(app: &AppId, client: &ClientId, at: Timestamp) -> Key {
    references(app, client).time(at)
}

pub(super) fn reference(app: &AppId, client: &ClientId, at: Timestamp, sequence: u32) -> Key {
    references_at(app, client, at).number(sequence)
}

pub(super) fn columns(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'h')
        .text(app.as_str())
        .text(conversation.as_str())
}

pub(super) fn columns_part(app: &AppId, conversation: &ConversationId, part: u32) -> Key {
    columns(app, conversation).number(part)
}

/// Messages, and the rows by which they are found, as schema 2 kept them.
pub(super) fn old_messages() -> [Key; 3] {
    [Key::tagged(b'd'), Key::tagged(b'i'), Key::tagged(b'k')]
}

/// Messages that were not acknowledged in push mode, as schema 1 kept them.
pub(super) fn all_pendings() -> Key {
    Key::tagged(b'q')
}

pub(super) fn bans(app: &AppId, conversation: &ConversationId, ban: Ban) -> Key {
    let list = match ban {
        Ban::Blocked => "b",
        Ban::Silenced => "s",
    };
    Key::tagged(b'l')
        .text(app.as_str())
        .text(conversation.as_str())
        .text(list)
}

pub(super) fn installation(app: &AppId, id: &str) -> Key {
    Key::tagged(b'y').text(app.as_str()).rest(id)
}

pub(super) fn installation_name(app: &AppId, name: &str) -> Key {
    Key::tagged(b'j').text(app.as_str()).rest(name)
}

/// The devices that are pushed the messages of a client, by its name.
pub(super) fn devices(app: &AppId, client: &str) -> Key {
    Key::tagged(b'z').text(app.as_str()).text(client)
}

pub(super) fn device(app: &AppId, client: &str, id: &str) -> Key {
    devices(app, client).rest(id)
}

/// The clients that signed in on a device.
pub(super) fn device_clients(app: &AppId, id: &str) -> Key {
    Key::tagged(b'Z').text(app.as_str()).text(id)
}

pub(super) fn device_client(app: &AppId, id: &str, client: &str) -> Key {
    device_clients(app, id).rest(client)
}

/// The number on the icon of a device.
pub(super) fn badge(app: &AppId, id: &str) -> Key {
    Key::tagged(b'Y').text(app.as_str()).rest(id)
}

pub(super) fn all_bans(app: &AppId, conversation: &ConversationId) -> Key {
    Key::tagged(b'l')
        .text(app.as_str())
        .text(conversation.as_str())
}

pub(super) fn ban(app: &AppId, conversation: &ConversationId, ban: Ban, client: &ClientId) -> Key {
    bans(app, conversation, ban).rest(client.as_str())
}

/// The parts of a key, read from the front; every step fails on a damaged key.
pub(super) struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    /// Starts behind a prefix of `skip` bytes.
    pub(super) fn after(key: &'a [u8], skip: usize) -> Result<Self, StorageError> {
        key.get(skip..).map(Self).ok_or(DAMAGED)
    }

    /// The next text that carries its length.
    pub(super) fn text(&mut self) -> Result<&'a str, StorageError> {
        let (length, rest) = self.0.split_first_chunk::<2>().ok_or(DAMAGED)?;
        let (text, rest) = rest
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(DAMAGED)?;
        self.0 = rest;
        str::from_utf8(text).map_err(|_| DAMAGED)
    }

    /// The next text in its short form.
    pub(super) fn short(&mut self) -> Result<String, StorageError> {
        let (length, rest) = self.0.split_first_chunk::<2>().ok_or(DAMAGED)?;
        let (short, rest) = rest
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(DAMAGED)?;
        self.0 = rest;
        lengthen(short).ok_or(DAMAGED)
    }

    /// The next time, as values have it.
    pub(super) fn plain_time(&mut self) -> Result<Timestamp, StorageError> {
        let (time, rest) = self.0.split_first_chunk::<8>().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(Timestamp::from_millis(i64::from_be_bytes(*time)))
    }

    /// The next time.
    pub(super) fn time(&mut self) -> Result<Timestamp, StorageError> {
        let (time, rest) = self.0.split_first_chunk::<8>().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(Timestamp::from_millis(i64::from_be_bytes(*time) ^ i64::MIN))
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u32, StorageError> {
        let (number, rest) = self.0.split_first_chunk::<4>().ok_or(DAMAGED)?;
        self.0 = rest;
        Ok(u32::from_be_bytes(*number))
    }

    /// The last text.
    pub(super) fn rest(self) -> Result<&'a str, StorageError> {
        str::from_utf8(self.0).map_err(|_| DAMAGED)
    }
}

const DAMAGED: StorageError = StorageError::Damaged {
    what: "a key could not be decoded",
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_of_message_keys_is_the_order_of_places(
            a in (any::<i64>(), "[a-z]{1,8}"),
            b in (any::<i64>(), "[a-z]{1,8}"),
        ) {
            let app = AppId::new("app").unwrap();
            let cid = ConversationId::new("c").unwrap();
            let place = |(at, id): &(i64, String)| Place {
                sent_at: Timestamp::from_millis(*at),
                id: MessageId::new(id).unwrap(),
            };
            let (a, b) = (place(&a), place(&b));
            prop_assert_eq!(message(&app, &cid, &a).cmp(&message(&app, &cid, &b)), a.cmp(&b));
        }

        #[test]
        fn a_ban_key_gives_its_parts_back(cid in "\\PC{1,64}", client in "\\PC{1,64}") {
            let app = AppId::new("app").unwrap();
            let cid = ConversationId::new(cid).unwrap();
            let client = ClientId::new(client).unwrap();
            let key = ban(&app, &cid, Ban::Silenced, &client).into_bytes();
            let skip = Key::tagged(b'l').text(app.as_str()).len();
            let mut parts = Parts::after(&key, skip).unwrap();
            prop_assert_eq!(parts.text().unwrap(), cid.as_str());
            prop_assert_eq!(parts.text().unwrap(), "s");
            prop_assert_eq!(parts.rest().unwrap(), client.as_str());
        }

        #[test]
        fn any_bytes_are_parts_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut parts = Parts(&bytes);
            let _ = parts.text();
            let _ = parts.time();
            let _ = parts.rest();
        }
    }
}
