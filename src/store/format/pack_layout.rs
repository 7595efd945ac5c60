//! The layout of packs: the number, the size and the form of their messages.

use crate::store::error::StoreError;
use crate::store::format::compress::Compressor;
use crate::store::format::key;
use crate::store::format::pack::{Form, Pack, Slot};
use crate::store::types::link::link;
use crate::store::types::position::{ConversationNumber, Position};

/// The most messages of a hot pack, and the most bytes: a tail is written anew with each message.
pub(crate) const HOT_COUNT: usize = 8;
const HOT_BYTES: usize = 4 * 1024;

/// How many messages a sealed pack begins with.
pub(crate) const SEALED_COUNT: usize = 32;

/// How many messages a sealed pack may grow to by late ones.
const SEALED_COUNT_MAX: usize = 48;

/// The most bytes of a sealed pack before compression, and after: the database keeps up to sixteen
/// values in a page, and a page of more than 128 KiB gets a file of its own.
pub(crate) const SEALED_RAW: usize = 24 * 1024;
pub(crate) const SEALED_BYTES: usize = 6 * 1024 + 512;

/// A sealed pack and its payload.
pub(crate) type EncodedPack = (Pack, Vec<u8>);

/// A pack that is to be written. The size of a sealed one is known only once it is compressed.
#[derive(Debug)]
pub(crate) enum Shaped {
    Hot(Pack),
    Sealed(Pack, Vec<u8>),
}

impl Shaped {
    pub(crate) const fn pack(&self) -> &Pack {
        match self {
            Self::Hot(pack) | Self::Sealed(pack, _) => pack,
        }
    }

    /// The pack and its payload.
    pub(crate) fn encoded(self, compressor: &Compressor) -> Result<EncodedPack, StoreError> {
        Ok(match self {
            Self::Hot(pack) => {
                let payload = pack.encode(compressor)?;
                (pack, payload)
            }
            Self::Sealed(pack, payload) => (pack, payload),
        })
    }
}

/// Puts the messages of a range into packs of its section. The messages from the `kept`th on come after all
/// others, and become hot in any section.
pub(crate) fn shape(
    mut slots: Vec<Slot>,
    kept: usize,
    older: Option<u32>,
    section: Form,
    compressor: &Compressor,
) -> Result<Vec<Shaped>, StoreError> {
    let appended = slots.split_off(kept.min(slots.len()));
    let behind = slots.last().map(|slot| link(&slot.position)).or(older);
    let mut packs = Vec::new();
    match section {
        Form::Hot => heat(slots, older, &mut packs),
        Form::Sealed => {
            let sealed = seal(slots, older, compressor)?.into_iter();
            packs.extend(sealed.map(|(pack, payload)| Shaped::Sealed(pack, payload)));
        }
    }
    heat(appended, behind, &mut packs);
    Ok(packs)
}

/// Hot packs, each full but the last.
fn heat(slots: Vec<Slot>, mut older: Option<u32>, packs: &mut Vec<Shaped>) {
    let mut rest = slots.into_iter().peekable();
    while rest.peek().is_some() {
        let mut slots: Vec<Slot> = Vec::with_capacity(HOT_COUNT.min(rest.len()));
        let mut bytes = 0_usize;
        while let Some(slot) = rest.next_if(|slot| {
            bytes += slot.size();
            slots.is_empty() || (slots.len() < HOT_COUNT && bytes <= HOT_BYTES)
        }) {
            slots.push(slot);
        }
        let behind = slots.last().map(|slot| link(&slot.position));
        packs.push(Shaped::Hot(Pack {
            form: Form::Hot,
            older,
            slots,
        }));
        older = behind;
    }
}

/// True if a pack is small enough to be a tail: one message may be larger than a hot pack.
pub(crate) fn fits_tail(pack: &Pack) -> bool {
    let bytes = pack.slots.iter().map(Slot::size);
    pack.form == Form::Hot && bytes.fold(0, usize::saturating_add) <= HOT_BYTES
}

/// Sealed packs of about the same number of messages, none too large.
pub(crate) fn seal(
    mut slots: Vec<Slot>,
    older: Option<u32>,
    compressor: &Compressor,
) -> Result<Vec<EncodedPack>, StoreError> {
    let many = match slots.len() {
        0 => return Ok(Vec::new()),
        1..=SEALED_COUNT_MAX => 1,
        more => more.div_ceil(SEALED_COUNT),
    };
    let raw = slots.iter().map(Slot::size).fold(0, usize::saturating_add);
    let many = many.max(raw.div_ceil(SEALED_RAW)).min(slots.len());
    if many == 1 {
        let pack = Pack {
            form: Form::Sealed,
            older,
            slots,
        };
        let payload = pack.encode(compressor)?;
        if payload.len() <= SEALED_BYTES || pack.slots.len() == 1 {
            return Ok(vec![(pack, payload)]);
        }
        slots = pack.slots;
    }
    // Into two parts until each fits; of a long run, the first part is a whole number of packs.
    let many = many.max(2);
    let each = slots.len().div_ceil(many);
    let later = slots.split_off(each.saturating_mul(many / 2));
    let behind = slots.last().map(|slot| link(&slot.position)).or(older);
    let mut packs = seal(slots, older, compressor)?;
    packs.extend(seal(later, behind, compressor)?);
    Ok(packs)
}

/// A message on its way into packs: with the link to its older neighbour, as it was.
pub(crate) type Linked = (Slot, Option<u32>);

/// The key and the payload of a pack.
pub(crate) type Laid = (Vec<u8>, Vec<u8>);

/// Puts messages that come in order, after those up to `before`, into sealed packs; answers each key and
/// payload. Where a link does not lead to the message before, a pack begins, and the link stays, because
/// messages are missing there.
pub(crate) fn lay(
    number: ConversationNumber,
    before: Option<&Position>,
    messages: Vec<Linked>,
    compressor: &Compressor,
) -> Result<Vec<Laid>, StoreError> {
    let mut laid = Vec::new();
    let mut before = before.cloned();
    let mut rest = messages.into_iter().peekable();
    while let Some((slot, older)) = rest.next() {
        let mut behind = link(&slot.position);
        let mut run = vec![slot];
        while let Some((slot, _)) = rest.next_if(|(_, older)| *older == Some(behind)) {
            behind = link(&slot.position);
            run.push(slot);
        }
        for (pack, payload) in seal(run, older, compressor)? {
            let first = pack.slots.first().map(|slot| &slot.position);
            let bound = before.as_ref().zip(first);
            let bound = bound.map(|(before, first)| key::separator(before, first));
            laid.push((
                key::pack(Form::Sealed, number, &bound.unwrap_or_default()),
                payload,
            ));
            before = pack.last().cloned();
        }
    }
    Ok(laid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{MessageId, Timestamp};
    use bytes::Bytes;

    fn slots(count: usize, bytes: usize) -> Vec<Slot> {
        let mut seed = 1_u64;
        let mut noise = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 56) as u8
        };
        (0..count)
            .map(|n| Slot {
                position: Position {
                    sent_at: Timestamp::from_millis(n as i64),
                    id: MessageId::new(format!("m{n}")).unwrap(),
                },
                record: Bytes::from((0..bytes).map(|_| noise()).collect::<Vec<u8>>()),
            })
            .collect()
    }

    #[test]
    fn sealed_packs_hold_all_messages_linked_and_within_their_limits() {
        let compressor = Compressor::default();
        for (count, bytes) in [
            (1, 10),
            (32, 30),
            (33, 30),
            (49, 30),
            (500, 30),
            (300, 900),
            (3, 30_000),
        ] {
            let all = slots(count, bytes);
            let packs = seal(all.clone(), Some(7), &compressor).unwrap();
            let mut older = Some(7);
            let mut seen = Vec::new();
            for (pack, payload) in &packs {
                assert_eq!(pack.older, older, "{count} of {bytes}");
                assert!(pack.slots.len() <= SEALED_COUNT_MAX);
                assert!(payload.len() <= SEALED_BYTES || pack.slots.len() == 1);
                older = pack.last().map(link);
                seen.extend(pack.slots.clone());
            }
            assert_eq!(seen, all);
        }
    }

    #[test]
    fn a_link_that_leads_elsewhere_begins_a_pack_and_stays() {
        let mut linked: Vec<Linked> = Vec::new();
        for slot in slots(10, 10) {
            let older = linked.last().map(|(slot, _)| link(&slot.position));
            linked.push((slot, older));
        }
        linked.remove(4);
        let compressor = Compressor::default();
        let laid = lay(ConversationNumber(1), None, linked, &compressor).unwrap();
        let packs = laid
            .into_iter()
            .map(|(_, payload)| Pack::decode(payload, &compressor).unwrap());
        let packs: Vec<_> = packs.collect();
        assert_eq!(packs.len(), 2);
        assert_eq!(packs[1].older, Some(link(&slots(10, 10)[4].position)));
    }
}
