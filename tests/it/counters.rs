//! Unread counts and mentions: exact, and the same on all devices of a client.

use std::collections::BTreeMap;

use sampan::model::{ClientId, ConversationId, Mentions, MessageContent, MessageKey, MessageRef};
use sampan::wire::{Command, convert};

use crate::place::{Device, PATIENCE, Place, id};
use crate::support::raw::RawConnection;

const TALKS: usize = 80;
const FRIENDS: usize = 4;
const ROUNDS: usize = 8;

/// Things that happen while a device is away, in each round: over all rounds more than 500 messages are missed.
const A_ROUND: usize = 90;

/// Chance from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }
}

struct Said {
    at: MessageRef,
    is_recalled: bool,
    calls: bool,
}

/// One conversation, as somebody who sees everything knows it.
struct Talk {
    id: ConversationId,
    friend: usize,
    said: Vec<Said>,
    /// The number of messages that ann has read.
    read: usize,
}

impl Talk {
    /// The number of unread messages, and true if one of them calls ann.
    fn unread(&self) -> (u32, bool) {
        let unread = || {
            let behind = self.said.iter().skip(self.read);
            behind.filter(|it| !it.is_recalled)
        };
        let count = u32::try_from(unread().count()).unwrap();
        (count, unread().any(|it| it.calls))
    }
}

struct Friends(Vec<(RawConnection, ClientId)>);

impl Friends {
    async fn of(place: &Place) -> Self {
        let mut all = Vec::new();
        for number in 0..FRIENDS {
            all.push(place.raw(&format!("friend-{number}")).await);
        }
        Self(all)
    }

    async fn starts(&self, number: usize) -> Talk {
        let friend = number % FRIENDS;
        let (raw, me) = self.0.get(friend).unwrap();
        let members = [me.clone(), id("ann")];
        let started = raw.start_conversation(me, &members, "talk").await;
        Talk {
            id: started.unwrap(),
            friend,
            said: Vec::new(),
            read: 0,
        }
    }

    async fn says(&self, talk: &mut Talk, calls: bool) {
        let (raw, me) = self.0.get(talk.friend).unwrap();
        let text = MessageContent::text(format!("line {}", talk.said.len()));
        let mentions = Mentions {
            all: false,
            clients: if calls { vec![id("ann")] } else { Vec::new() },
        };
        let body = convert::direct(&talk.id, &text, &mentions);
        let posted = raw.post(me, Command::direct(body)).await.unwrap();
        let (message, sent_at) = posted.acknowledged().await.unwrap();
        let at = MessageRef {
            conversation: talk.id.clone(),
            sent_at,
            id: message,
        };
        talk.said.push(Said {
            at,
            is_recalled: false,
            calls,
        });
    }

    /// Edits or recalls a message that is neither recalled nor calls anybody.
    async fn changes(&self, talk: &mut Talk, dice: &mut Dice, recalls: bool) {
        let (raw, me) = self.0.get(talk.friend).unwrap();
        let many = talk.said.len();
        if many == 0 {
            return;
        }
        let said = talk.said.get_mut(dice.below(many)).unwrap();
        if said.is_recalled || said.calls {
            return;
        }
        if recalls {
            raw.recall(me, &said.at).await.unwrap();
            said.is_recalled = true;
        } else {
            raw.edit(me, &said.at, "edited").await.unwrap();
        }
    }
}

/// The unread count of each conversation on a device, and true where a message calls ann.
async fn counted(device: &Device) -> BTreeMap<ConversationId, (u32, bool)> {
    let page = device.client.conversations(None, 200).await.unwrap();
    let infos = page.conversations.into_iter();
    infos
        .map(|info| (info.id, (info.unread.count, info.unread.mentioned)))
        .collect()
}

/// Waits until both devices count as expected.
async fn agree(devices: [&Device; 2], talks: &[Talk], when: &str) {
    let expected: BTreeMap<_, _> = talks
        .iter()
        .map(|it| (it.id.clone(), it.unread()))
        .collect();
    for (number, device) in devices.into_iter().enumerate() {
        let search = device.until("the counts", || async {
            (counted(device).await == expected).then_some(())
        });
        if tokio::time::timeout(PATIENCE / 3, search).await.is_err() {
            let counted = counted(device).await;
            let wrong: Vec<_> = expected
                .iter()
                .filter(|(id, unread)| counted.get(id) != Some(unread))
                .map(|(id, unread)| (unread, counted.get(id)))
                .collect();
            panic!("{when}: device {number} counts otherwise (right, counted): {wrong:?}");
        }
        let totals = device.client.unread_totals().await.unwrap().all;
        let sum: u64 = expected.values().map(|(count, _)| u64::from(*count)).sum();
        assert_eq!(totals.messages, sum, "{when}");
    }
}

async fn reads(device: &Device, talk: &mut Talk, dice: &mut Dice) {
    let here = device.handle(&talk.id);
    let many = talk.said.len();
    if many == 0 || dice.below(2) == 0 {
        // Up to the newest message that the device has.
        here.mark_read(None).await.unwrap();
        talk.read = many;
        return;
    }
    let last = dice.below(many);
    let at = &talk.said.get(last).unwrap().at;
    let key = MessageKey::service(at.sent_at, at.id.clone());
    here.mark_read(Some(key)).await.unwrap();
    talk.read = talk.read.max(last + 1);
}

/// D13: in 80 conversations others say, edit and recall hundreds of messages while one device of a client is away, or
/// the other, or both, and the client reads on whichever is there: after each return both devices count what is
/// unread, and who is called, and their sums.
#[tokio::test]
async fn counts_are_exact_and_the_same_on_all_devices_whichever_was_away() {
    let place = Place::new().await;
    let phone = place.online("phone", "ann").await;
    let tablet = place.online("tablet", "ann").await;
    let friends = Friends::of(&place).await;
    let mut talks = Vec::new();
    for number in 0..TALKS {
        talks.push(friends.starts(number).await);
    }
    agree([&phone, &tablet], &talks, "at first").await;
    let mut dice = Dice(0x5eed);
    for round in 0..ROUNDS {
        let (phone_away, tablet_away) = [(true, false), (true, true), (false, true)][round % 3];
        for (device, away) in [(&phone, phone_away), (&tablet, tablet_away)] {
            if away {
                device.client.go_offline().unwrap();
            }
        }
        for _ in 0..A_ROUND {
            let talk = &mut talks[dice.below(TALKS)];
            match dice.below(100) {
                0..76 => friends.says(talk, dice.below(10) == 0).await,
                76..88 => friends.changes(talk, &mut dice, false).await,
                _ => friends.changes(talk, &mut dice, true).await,
            }
        }
        for device in [&phone, &tablet] {
            device.go_online().await;
        }
        agree([&phone, &tablet], &talks, &format!("round {round}")).await;
        // The client reads on one device; the other may be away meanwhile.
        let (reader, other) = [(&phone, &tablet), (&tablet, &phone)][round % 2];
        if round % 4 < 2 {
            other.client.go_offline().unwrap();
        }
        for _ in 0..6 {
            reads(reader, &mut talks[dice.below(TALKS)], &mut dice).await;
        }
        reader.has_sent_everything().await;
        other.go_online().await;
        agree([&phone, &tablet], &talks, &format!("reading {round}")).await;
    }
    let said: usize = talks.iter().map(|talk| talk.said.len()).sum();
    assert!(said >= 500, "{said}");
}
