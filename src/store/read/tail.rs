//! The tail of a conversation: its newest messages, in one value with its row. `format/conversation_value.rs`
//! has the bytes.

use std::sync::Arc;

use crate::store::error::StoreError;
use crate::store::format::conversation_value::{Lies, Parts, Tail};
use crate::store::format::key;
use crate::store::format::messagepack::BadRecord;
use crate::store::read::packs::{KeyedPack, PackHome};
use crate::store::read::snapshot::Snapshot;
use crate::store::types::conversation::ConversationRow;
use crate::store::types::position::ConversationNumber;

impl Snapshot<'_> {
    /// A conversation's row, from its value; none when there is none, or it was removed, or is damaged.
    pub(in crate::store) fn stored_row(
        &self,
        number: ConversationNumber,
    ) -> Result<Option<ConversationRow>, StoreError> {
        let Some(payload) = self.conversation_payload(number)?.whole() else {
            return Ok(None);
        };
        let Some(parts) = self.intact(Parts::of(&payload)) else {
            return Ok(None);
        };
        // A reader of a row mostly asks for the newest messages next.
        let tails = &self.tables.packs;
        if tails.tail(number).is_none() {
            tails.put_tail(number, Tail::of(number, &parts));
        }
        Ok(self.intact(parts.row()))
    }

    /// The tail of a conversation, if it has one.
    pub(in crate::store) fn tail(
        &self,
        number: ConversationNumber,
    ) -> Result<Option<Tail>, StoreError> {
        if let Some(tail) = self.tables.packs.tail(number) {
            return Ok(tail);
        }
        let tail = match self.conversation_payload(number)? {
            Payload::Whole(payload) => {
                let Some(parts) = self.intact(Parts::of(&payload)) else {
                    return Ok(None);
                };
                Tail::of(number, &parts)
            }
            Payload::None => None,
            // Not remembered: it is still to be noticed by the next who asks.
            Payload::Damaged => return Ok(None),
        };
        self.tables.packs.put_tail(number, tail.clone());
        Ok(tail)
    }

    /// A tail with its messages; damaged ones are counted and none.
    pub(in crate::store) fn opened_tail(
        &self,
        number: ConversationNumber,
        tail: &Tail,
    ) -> KeyedPack {
        let pack = self.intact(tail.pack());
        if let (Some(pack), Lies::Closed(_)) = (&pack, &tail.lies) {
            let open = tail.with(Arc::clone(pack));
            self.tables.packs.put_tail(number, Some(open));
        }
        KeyedPack {
            key: tail.key.clone(),
            pack,
            home: PackHome::Row,
        }
    }

    fn conversation_payload(&self, number: ConversationNumber) -> Result<Payload, StoreError> {
        let key = key::conversation(number);
        let Some(value) = self.shared.noting(self.tables.value(&key))? else {
            return Ok(Payload::None);
        };
        let payload = self.shared.codec.open(&key, &value).map_err(|_| BadRecord);
        Ok(match self.intact(payload) {
            None => Payload::Damaged,
            // The tombstone of a removed conversation.
            Some(payload) if payload.is_empty() => Payload::None,
            Some(payload) => Payload::Whole(payload.into_owned()),
        })
    }
}

/// The payload under a conversation's key.
enum Payload {
    None,
    Damaged,
    Whole(Vec<u8>),
}

impl Payload {
    fn whole(self) -> Option<Vec<u8>> {
        match self {
            Self::Whole(payload) => Some(payload),
            Self::None | Self::Damaged => None,
        }
    }
}
