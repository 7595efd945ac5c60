//! Rules of the live views and of the writes that no other test has for its subject; and the table of all of them.

use std::collections::BTreeSet;
use std::path::Path;

use sampan::model::{Count, MessageKey, NewConversation};
use sampan::views::{ListState, TimelineState};
use sampan::{
    Anchor, ConversationFilter, ConversationOrder, Delivery, FillState, ListEdit, ListOptions,
    SampanError, TimelineEdge, TimelineEdit, TimelineItemKind, TimelineOptions, TimelineStart,
    parse_message_link,
};

use crate::place::{Place, id, in_time};
use crate::screen::{Ben, Screen, ann, catch_up, from, line, page, with_a_gap};

/// Each rule of `docs/views.md` names a test that is there.
#[test]
fn each_rule_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/views.md")).unwrap();
    let mut named = BTreeSet::new();
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, rule, tests, _] = cells[..] else {
            panic!("two columns: {row}");
        };
        if rule == "rule" {
            continue;
        }
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test of: {rule}");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
            let source = std::fs::read_to_string(root.join(file));
            let source = source.unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(
                source.contains(&format!("fn {name}(")),
                "{test} is not there"
            );
            named.insert(test.to_owned());
        }
    }
    assert!(named.len() >= 60, "{} tests", named.len());
}

/// §5.4: what is read tells its commit, and one that is not before that of a write shows the write.
#[tokio::test]
async fn every_read_and_update_carries_its_commit() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let list = ann.client.conversation_list(None).await.unwrap();
    let outbox = ann.client.outbox_list().await.unwrap();
    let (mut listed, mut unsent) = (sampan::Version::NONE, sampan::Version::NONE);
    let before = talk.info().await.unwrap().seq;
    for number in 0..3 {
        let sent = talk.send_text(format!("line {number}"), None).await;
        let sent = sent.unwrap();
        let info = talk.info().await.unwrap();
        assert!(before < sent.seq && sent.seq <= info.seq);
        let last = info.last_message.unwrap();
        assert_eq!(last.local_id.as_ref(), Some(&sent.local_id));
        let key = MessageKey::local(sent.local_id);
        let found = talk.message(key).await.unwrap();
        assert!(found.seq >= sent.seq && found.message.is_some());
        let state = ann.client.state();
        assert!(state.seq >= sent.seq);
        assert_eq!(state.outbox.waiting, Count(number + 2));
        loop {
            let update = in_time("the list", list.next(listed)).await;
            let update = update.unwrap().unwrap();
            listed = update.version;
            if update.seq >= sent.seq {
                break;
            }
        }
        loop {
            let update = in_time("the outbox", outbox.next(unsent)).await;
            let update = update.unwrap().unwrap();
            unsent = update.version;
            if update.seq >= sent.seq {
                break;
            }
        }
    }
}

/// §5.3: a commit that changes nothing of the state makes no new version, and the state tells it all the same.
#[tokio::test]
async fn a_commit_that_changes_nothing_of_the_state_makes_no_new_version() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let before = ann.client.state();
    let pinned = talk.set_pinned(true).await.unwrap();
    let after = ann.client.state();
    assert_eq!(after.version, before.version);
    assert!(before.seq < pinned && pinned <= after.seq);
}

/// §5.4: words may answer a message; the quote shows it.
#[tokio::test]
async fn words_may_answer_a_message() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let first = talk.send_text("tea?".into(), None).await.unwrap();
    let key = MessageKey::local(first.local_id);
    let answer = talk.send_text("yes".into(), Some(key.clone())).await;
    let quote = answer.unwrap().message.reply_to.unwrap();
    assert_eq!((quote.message, quote.excerpt.as_str()), (Some(key), "tea?"));
    let stranger = MessageKey::parse("l:nobody-knows-it").unwrap();
    let refused = talk.send_text("what?".into(), Some(stranger)).await;
    assert!(
        matches!(refused, Err(SampanError::NotFound { .. })),
        "{refused:?}"
    );
    assert_eq!(ann.client.outbox().await.unwrap().len(), 3);
}

/// §5.4: how far a message got is told of own messages alone.
#[tokio::test]
async fn delivery_is_told_of_own_messages_alone() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..1).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    talk.send_text("mine".into(), None).await.unwrap();
    let mut screen = Screen::newest(&talk).await;
    let is_sent = |state: &TimelineState| {
        let mut all = state.items.iter().filter_map(|item| item.message());
        all.any(|it| {
            it.is_own
                && !matches!(
                    it.delivery,
                    Some(Delivery::Waiting { .. } | Delivery::Sending { .. })
                )
        })
    };
    screen.until("an own message that is sent", is_sent).await;
    for message in screen.state.items.iter().filter_map(|item| item.message()) {
        assert_eq!(message.delivery.is_some(), message.is_own, "{message:?}");
    }
}

/// §5.4: the link of a message leads back to it, to the millisecond, and a timeline begins there.
#[tokio::test]
async fn a_link_leads_to_its_message() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..30).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let link = said[7].link();
    let reference = parse_message_link(link).unwrap();
    assert_eq!(reference, said[7]);
    let start = TimelineStart::Reference { reference };
    let screen = Screen::open(&talk, from(start, 10)).await;
    let Anchor::At { key, .. } = &screen.state.anchor else {
        panic!("{:?}", screen.state.anchor);
    };
    let (_, item) = screen.state.find(key).unwrap();
    assert_eq!(line(item), "line 7");
    for wrong in ["", "https://example.org/", "sampan:a/b/c"] {
        let refused = parse_message_link(wrong.to_owned());
        assert!(matches!(refused, Err(SampanError::InvalidArgument { .. })));
    }
}

/// §5.1 Resets: after a jump the update is one reset, and items that stay have the keys that they had.
#[tokio::test]
async fn after_a_jump_the_items_that_stay_keep_their_keys() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..40).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let mut screen = Screen::open(&talk, page(20)).await;
    let before = screen.keys();
    let start = TimelineStart::Time {
        at: said[30].sent_at,
    };
    screen.timeline.jump(start).await.unwrap();
    let update = screen.update().await;
    assert!(matches!(
        update.edits.as_slice(),
        [TimelineEdit::Reset { .. }]
    ));
    let stayed = screen.keys().into_iter().filter(|key| before.contains(key));
    assert!(stayed.count() >= 10, "{:?}", screen.lines());
}

/// §5.1 The live end: a window that is not there takes no new message in, and counts it below.
#[tokio::test]
async fn a_window_that_is_not_at_the_live_end_counts_new_messages_below() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    let said = ben.say(0..40).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let start = TimelineStart::Time {
        at: said[10].sent_at,
    };
    let mut screen = Screen::open(&talk, from(start, 10)).await;
    let shown = screen.lines();
    screen.see(0, screen.state.items.len() - 1);
    let last = shown.last().unwrap().rsplit(' ').next().unwrap();
    let behind = 39 - last.parse::<u64>().unwrap();
    screen
        .until("what is below", |state| state.below == behind)
        .await;
    ben.say(40..43).await;
    screen
        .until("three more below", |state| state.below == behind + 3)
        .await;
    assert_eq!(screen.lines(), shown);
    assert_eq!(screen.state.newer, TimelineEdge::More);
}

/// §5.1 Reading: with `read_visible` off nothing is read by being seen; `mark_read` does it.
#[tokio::test]
async fn without_reading_by_being_seen_the_app_marks_read_itself() {
    let place = Place::new().await;
    let ben = Ben::of(&place).await;
    ben.say(0..5).await;
    let ann = ann(&place, "phone", 100).await;
    catch_up(&ann).await;
    let talk = ann.client.conversation(ben.talk.clone()).unwrap();
    let screen = Screen::open(&talk, page(20)).await;
    screen.see(0, 4);
    // A write that comes after whatever the view would have written.
    talk.set_pinned(true).await.unwrap();
    assert_eq!(ann.client.state().unread.all.messages, 5);
    let third = screen.state.items[2].message().unwrap().key.clone();
    talk.mark_read(Some(third)).await.unwrap();
    assert_eq!(ann.client.state().unread.all.messages, 2);
}

/// §5.1 Gaps: with `fill_visible` off a gap that is seen stays as it is.
#[tokio::test]
async fn without_filling_by_being_seen_a_gap_stays() {
    let place = Place::new().await;
    let (_ben, ann, talk) = with_a_gap(&place).await;
    ann.client.go_offline().unwrap();
    let options = TimelineOptions {
        fill_visible: false,
        ..page(20)
    };
    let mut screen = Screen::open(&talk, options).await;
    screen.timeline.load_older(10).await.unwrap();
    screen.timeline.load_older(10).await.unwrap();
    screen
        .until("a gap inside", |state| state.items.len() > 30)
        .await;
    catch_up(&ann).await;
    let (at, key) = screen.gap().unwrap();
    screen.see(at - 1, at + 1);
    // The service has answered a question that was asked after the gap was seen.
    talk.fetch_receipts().await.unwrap();
    while !screen.is_settled().await {
        screen.update().await;
    }
    let (_, item) = screen.state.find(&key).expect("the gap");
    let idle = TimelineItemKind::Gap {
        state: FillState::Idle,
    };
    assert_eq!(item.kind, idle);
}

/// §5.2: another filter or order of a list is one reset, and its rows are those of a list that begins so.
#[tokio::test]
async fn a_list_that_shows_others_begins_with_a_reset() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    for name in ["b", "c", "a"] {
        let wanted = NewConversation {
            members: vec![id(name)],
            name: Some(name.to_owned()),
            ..NewConversation::default()
        };
        ann.client.create_conversation(wanted).await.unwrap();
    }
    let list = ann.client.conversation_list(None).await.unwrap();
    let mut state = ListState::default();
    state.apply(list.next(state.version).await.unwrap().unwrap());
    let options = ListOptions {
        order: Some(ConversationOrder::Name),
        ..ListOptions::default()
    };
    list.show(options).unwrap();
    let update = in_time("the reset", list.next(state.version)).await;
    let update = update.unwrap().unwrap();
    assert!(matches!(update.edits.as_slice(), [ListEdit::Reset { .. }]));
    state.apply(update);
    let names = state.rows.iter().filter_map(|row| row.name.as_deref());
    assert!(names.eq(["a", "b", "c"]));
    let options = ListOptions {
        filter: Some(ConversationFilter::Muted),
        ..ListOptions::default()
    };
    list.show(options).unwrap();
    let update = in_time("the empty list", list.next(state.version)).await;
    state.apply(update.unwrap().unwrap());
    assert_eq!((state.rows.len(), state.total), (0, Count(0)));
}

/// §5.2: a row is small whatever its conversation is: four faces, one line of at most 200 characters.
#[tokio::test]
async fn a_row_has_four_faces_and_one_line_of_200_characters() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let members: Vec<_> = (0..30).map(|number| id(&format!("p{number}"))).collect();
    let wanted = NewConversation {
        members,
        ..NewConversation::default()
    };
    let talk = ann.client.create_conversation(wanted).await.unwrap();
    let long = format!("first line\nsecond 😀 {}", "é".repeat(1_000));
    talk.conversation.send_text(long, None).await.unwrap();
    let list = ann.client.conversation_list(None).await.unwrap();
    let mut state = ListState::default();
    while state.rows.iter().all(|row| row.last.is_none()) {
        let update = in_time("the message", list.next(state.version)).await;
        state.apply(update.unwrap().unwrap());
    }
    let [row] = &state.rows[..] else {
        panic!("one row");
    };
    assert_eq!((row.faces.len(), row.member_count), (4, Count(31)));
    let words = row.last.as_ref().unwrap().words.as_deref().unwrap();
    assert_eq!(words.chars().count(), 200, "{words}");
    assert!(words.starts_with("first line second 😀 é") && !words.contains('\n'));
}

/// §5.4: a call that is dropped after it was accepted takes nothing back.
#[tokio::test]
async fn a_send_that_is_dropped_stays_accepted() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    for number in 0..20 {
        let mut call = Box::pin(talk.send_text(format!("line {number}"), None));
        // The first poll hands the call in; its answer is not waited for.
        let asked = std::future::poll_fn(|context| {
            std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
        });
        asked.await;
    }
    let expected: Vec<_> = (0..20)
        .map(|it| format!("ann: line {it} (pending)"))
        .collect();
    ann.until("all twenty", || async {
        let lines = ann.lines(&talk.conversation_id()).await.ok()?;
        (lines == expected).then_some(())
    })
    .await;
}

/// §5.8: errors are sorted by what an app shows, and say whether the same call may succeed later.
#[tokio::test]
async fn errors_say_what_an_app_may_do() {
    let place = Place::new().await;
    let ann = place.device("phone", "ann").await;
    let talk = ann.talk_to("ben").await;
    let long = talk.send_text("x".repeat(10_000), None).await.unwrap_err();
    assert!(matches!(long, SampanError::TooLarge { limit, actual } if actual > limit));
    assert!(!long.is_retryable());
    let nobody = MessageKey::parse("l:nobody-knows-it").unwrap();
    let gone = talk.recall(nobody.clone()).await.unwrap_err();
    assert!(matches!(gone, SampanError::NotFound { .. }) && !gone.is_retryable());
    let offline = talk.count_members().await.unwrap_err();
    assert_eq!(offline, SampanError::NotConnected);
    assert!(offline.is_retryable());
    let sent = talk.send_text("tea".into(), None).await.unwrap();
    let key = MessageKey::local(sent.local_id);
    let early = talk.retry(key).await.unwrap_err();
    assert!(matches!(early, SampanError::NotPossible { .. }), "{early}");
    ann.engine.shutdown().await.unwrap();
    let over = talk.send_text("late".into(), None).await.unwrap_err();
    assert_eq!(over, SampanError::ShutDown);
}
