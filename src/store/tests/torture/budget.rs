//! A store under a cap of 20 MB while several times as much comes through it.

use super::{Tally, seeds};
use crate::model::{Draft, Unread};
use crate::splitmix;
use crate::store::maintain::Tended;
use crate::store::maintain::evict::KEPT;
use crate::store::read::items::TimelineItem;
use crate::store::recovery::options::StoreOptions;
use crate::store::tests::*;
use crate::store::types::position::HistoryStart;

/// The most bytes that the store may take.
const CAP: u64 = 20_000_000;

/// The bytes of texts that come in a round.
const ROUND: usize = 10_000_000;

/// The bytes of a text: near the largest that a message may have.
const TEXT: usize = 4_000;

const CONVERSATIONS: i64 = 8;

/// The messages of each conversation in a round: a multiple of those of a commit.
const MESSAGES: i64 = 300;

const _: () = assert!(MESSAGES as usize * TEXT * CONVERSATIONS as usize >= ROUND * 9 / 10);

/// The message of each conversation that mentions this client, which never reads it.
const MENTION: i64 = 30;

/// How many messages come in a commit.
const AT_ONCE: i64 = 50;

/// The steps that the engine takes in a row while the store is over its budget.
const HURRIED_STEPS: usize = 64;

/// How many unsent messages each conversation has.
const UNSENT: usize = 5;

/// A text that does not compress well.
fn text(c: i64, n: i64) -> String {
    let mut seed = u64::try_from(c * 1_000_000 + n).unwrap();
    let mut text = format!("{n}:");
    while text.len() < TEXT {
        // Each byte is one of 64 letters: six bits of eight are left of it.
        let bits = splitmix::next(&mut seed);
        text.extend((0..10).map(|at| char::from(b'0' + ((bits >> (6 * at)) & 63) as u8)));
    }
    text
}

fn open(folder: &std::path::Path) -> Opened {
    let options = StoreOptions {
        disk_budget: Some(CAP),
        cache_bytes: 2 << 20,
        ..StoreOptions::new(folder, client("me"), at(1))
    };
    Store::open(&options).unwrap()
}

/// Makes the conversations, each with a draft and unsent messages.
fn begin(opened: &mut Opened) -> Vec<ConversationNumber> {
    let mut numbers = Vec::new();
    for c in 0..CONVERSATIONS {
        let mut overlay = Overlay::new(&opened.store);
        let id = conversation_id(&format!("c{c}"));
        let number = overlay.conversation_or_unknown(&id).unwrap();
        overlay
            .update_conversation(number, |row| {
                row.history.set_start(HistoryStart::Reached);
                row.draft = Some(Draft {
                    text: format!("draft of c{c}"),
                    ..Draft::default()
                });
                row.read_until_self = Some(at(0));
                row.unread = Unread {
                    count: 100,
                    at_least: true,
                    mentioned: true,
                };
            })
            .unwrap();
        for n in 0..UNSENT {
            let token = local(&format!("c{c}-{n}"));
            let said = send(&format!("unsent {n} of c{c}"));
            overlay.enqueue(number, token, at(1), said).unwrap();
        }
        let batch = overlay.into_batch();
        opened.writer.commit(batch, CommitClass::Intent).unwrap();
        numbers.push(number);
    }
    numbers
}

fn receive(opened: &mut Opened, number: ConversationNumber, c: i64, from: i64) {
    let mut overlay = Overlay::new(&opened.store);
    for n in from..from + AT_ONCE {
        let mut message = message("other", n, &text(c, n));
        if n == MENTION {
            message.mentions.clients.push(client("me"));
        }
        overlay.put_message(number, &message).unwrap();
    }
    let (first, last) = (position((from - 1).max(0)), position(from + AT_ONCE - 1));
    overlay
        .update_conversation(number, |row| row.history.hold(first, last))
        .unwrap();
    let batch = overlay.into_batch();
    opened.writer.commit(batch, CommitClass::Cache).unwrap();
}

/// The protected content is there, every text is the one that came, and no hole is without a gap.
fn check(store: &Store, number: ConversationNumber, c: i64, came: i64) {
    let snapshot = store.snapshot();
    let row = snapshot.conversation(number).unwrap().unwrap();
    assert_eq!(row.draft.unwrap().text, format!("draft of c{c}"));
    let (mut before, mut shown, mut unsent) = (None, Vec::new(), 0);
    loop {
        let page = snapshot.page_before(number, before.as_ref(), 100).unwrap();
        for item in page.items.iter().rev() {
            match item {
                TimelineItem::Gap(_) => shown.push(None),
                TimelineItem::Echo { .. } => unsent += 1,
                TimelineItem::Message { position, message } => {
                    let n = position.sent_at.as_millis();
                    assert_eq!(message.content.words(), Some(&*text(c, n)));
                    shown.push(Some(n));
                }
            }
        }
        before = page.items.iter().find_map(TimelineItem::place);
        if !page.more || before.is_none() {
            break;
        }
    }
    assert_eq!(unsent, UNSENT);
    assert!(shown.contains(&Some(MENTION)), "c{c}: {shown:?}");
    let newest = (0..came).rev().map(Some).take(KEPT);
    assert!(
        shown.iter().copied().take(KEPT).eq(newest),
        "c{c}: {shown:?}"
    );
    for pair in shown.windows(2) {
        if let [Some(newer), Some(older)] = pair {
            assert_eq!(older + 1, *newer, "c{c}: {shown:?}");
        }
    }
}

/// Has a round of messages come; gives the most bytes that the file had.
fn round(opened: &mut Opened, numbers: &[ConversationNumber], first: i64) -> u64 {
    let mut largest = 0;
    for from in (first..first + MESSAGES).step_by(AT_ONCE as usize) {
        for (c, number) in (0..).zip(numbers) {
            receive(opened, *number, c, from);
            largest = largest.max(opened.store.size_bytes().unwrap());
            tend(opened);
        }
    }
    largest
}

/// Tends the store as the engine does between two commits.
fn tend(opened: &mut Opened) {
    if !opened.writer.wants_tending() {
        return;
    }
    for _ in 0..HURRIED_STEPS {
        let tended = opened.writer.tend(&[]).unwrap();
        if tended == Tended::Done || !opened.writer.is_over_budget() {
            break;
        }
    }
}

/// D12: a cap of 20 MB holds while 200 MB of messages come through, in the suite 29 MB: after each commit the file has
/// at most a tenth more. Unsent messages, drafts, unread mentions and the newest messages are all there.
#[test]
fn a_cap_holds_while_many_times_as_much_comes_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path());
    let numbers = begin(&mut opened);
    let (mut tally, mut largest, mut came) = (Tally::default(), 0, 0);
    for n in 0..seeds(3).count() {
        largest = largest.max(round(&mut opened, &numbers, came));
        came += MESSAGES;
        for (c, number) in (0..).zip(&numbers) {
            check(&opened.store, *number, c, came);
        }
        tally.cases += 1;
        if largest > CAP + CAP / 10 {
            tally.failures.push(format!("round {n}: {largest} bytes"));
            break;
        }
    }
    drop(opened);
    let opened = open(folder.path());
    assert!(!opened.report.found_damage());
    for (c, number) in (0..).zip(&numbers) {
        check(&opened.store, *number, c, came);
    }
    tally.end("budget", format!("at most {largest} bytes of {CAP}"));
}
