//! Messages are found by id and token, whichever ids they have and whichever build wrote them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::storage::{MemoryStorage, Span, Storage as _, Write, message_id};

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an embedded storage waits for nobody"),
    }
}

fn app() -> AppId {
    AppId::new("app").unwrap()
}

fn cid() -> ConversationId {
    ConversationId::new("5f1d3c7b8a9e4d6c2b1a0f9e").unwrap()
}

fn message(id: &str, at: i64, token: &str) -> Message {
    Message {
        id: MessageId::new(id).unwrap(),
        sent_at: Timestamp::from_millis(at),
        from: ClientId::new("bb77c559-b666-495c-bc7c-82ca3c01f6a3").unwrap(),
        body: Body::Text("hi".to_owned()),
        wants_receipt: true,
        mention_all: true,
        mentions: vec![ClientId::new("Tom").unwrap()],
        patched_at: Some(Timestamp::from_millis(at + 5)),
        recalled: true,
        delivered_at: Some(Timestamp::from_millis(at - 1)),
        read_at: Some(Timestamp::from_millis(i64::MAX)),
        token: Some(token.to_owned()),
        only_for: vec![ClientId::new("Jerry").unwrap()],
    }
}

/// An id as the service makes it.
fn dated(at: i64) -> String {
    let id = message_id(Timestamp::from_millis(at), 0, "0123456789");
    id.unwrap().as_str().to_owned()
}

fn with(messages: &[Message]) -> MemoryStorage {
    let mut storage = MemoryStorage::empty().unwrap();
    let put = |message: &Message| Write::PutMessage(app(), cid(), message.clone());
    now(storage.apply(messages.iter().map(put).collect())).unwrap();
    now(storage.commit()).unwrap();
    storage
}

fn all(storage: &MemoryStorage) -> Vec<Message> {
    let order = Order::OldestFirst;
    now(storage.messages(&app(), &cid(), &Span::default(), order, 99)).unwrap()
}

/// The places that id and token lead to.
fn found(storage: &MemoryStorage, message: &Message) -> [Option<Place>; 2] {
    let token = message.token.as_deref().unwrap();
    [
        now(storage.message_place(&app(), &cid(), &message.id)).unwrap(),
        now(storage.sent_with(&app(), &cid(), &message.from, token)).unwrap(),
    ]
}

fn tags(storage: MemoryStorage) -> Vec<u8> {
    let rows = storage.into_rows();
    rows.keys().filter_map(|key| key.first().copied()).collect()
}

#[test]
fn every_field_of_a_message_is_read_as_it_was_written() {
    let binary = Message {
        body: Body::Binary(vec![0, 255]),
        token: None,
        patched_at: None,
        delivered_at: None,
        read_at: None,
        ..message("imported", 1, "")
    };
    let sent = vec![binary, message(&dated(7), 7, "token")];
    assert_eq!(all(&with(&sent)), sent);
}

#[test]
fn a_message_whose_id_tells_its_time_has_no_row_for_its_id() {
    let sent = message(&dated(7), 7, "token");
    let storage = with(std::slice::from_ref(&sent));
    assert_eq!(
        found(&storage, &sent),
        [Some(sent.place()), Some(sent.place())]
    );
    // The same time, and another id.
    let other = MessageId::new(dated(7).replace('9', "8")).unwrap();
    assert_eq!(
        now(storage.message_place(&app(), &cid(), &other)).unwrap(),
        None
    );
    assert_eq!(tags(storage), b"DTps");
}

#[test]
fn messages_of_one_time_that_came_from_elsewhere_are_found_each_by_its_own() {
    // Ids that look as if they told a time, which is not theirs, and ids that tell none.
    let sent = [
        message(&dated(3), 9, "a"),
        message("x", 9, "b"),
        message(&dated(9), 9, "c"),
    ];
    let mut storage = with(&sent);
    for one in &sent {
        assert_eq!(found(&storage, one), [Some(one.place()), Some(one.place())]);
    }
    for one in &sent {
        now(storage.apply(vec![Write::DropMessage(app(), cid(), one.place())])).unwrap();
        assert_eq!(found(&storage, one), [None, None]);
    }
    now(storage.commit()).unwrap();
    assert_eq!(tags(storage), b"s");
}

#[test]
fn a_token_is_its_senders_alone_and_no_letter_passes_between_the_two() {
    let sent = message(&dated(7), 7, "token");
    let storage = with(std::slice::from_ref(&sent));
    let asked = |from: &str, token: &str| {
        let from = ClientId::new(from).unwrap();
        now(storage.sent_with(&app(), &cid(), &from, token)).unwrap()
    };
    let from = sent.from.as_str();
    assert_eq!(asked(from, "token"), Some(sent.place()));
    assert_eq!(asked(&format!("{from}t"), "oken"), None);
    assert_eq!(asked("Tom", "token"), None);
}

/// The rows of a message as schema 2 wrote them.
fn rows_of_schema_2(message: &Message) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let text = |text: &str| {
        let length = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&length, text.as_bytes()].concat()
    };
    let key = |tag: u8, rest: &[Vec<u8>]| {
        let begin = [vec![tag], text("app"), text(cid().as_str())];
        [begin.concat(), rest.concat()].concat()
    };
    let (sent_at, id) = (message.sent_at.as_millis(), message.id.as_str());
    let time = (sent_at ^ i64::MIN).to_be_bytes().to_vec();
    let record = |value: Vec<u8>| [vec![1], value].concat();
    let (from, token) = (message.from.as_str(), message.token.as_deref().unwrap());
    let place = rmp_serde::to_vec_named(&message.place()).unwrap();
    BTreeMap::from([
        (
            key(b'd', &[time, id.as_bytes().to_vec()]),
            record(rmp_serde::to_vec_named(message).unwrap()),
        ),
        (
            key(b'i', &[id.as_bytes().to_vec()]),
            sent_at.to_be_bytes().to_vec(),
        ),
        (
            key(b'k', &[text(from), token.as_bytes().to_vec()]),
            record(place),
        ),
    ])
}

#[test]
fn messages_of_schema_2_are_read_on_and_found() {
    let sent = [message("old1", 5, "a"), message(&dated(6), 6, "b")];
    let mut rows: BTreeMap<_, _> = sent.iter().flat_map(rows_of_schema_2).collect();
    assert_eq!(rows.len(), 6);
    rows.insert(vec![b's'], vec![2]);
    // A process that ended in the middle: one is written anew already.
    let storage = MemoryStorage::of_rows(rows).unwrap();
    assert_eq!(all(&storage), sent);
    for one in &sent {
        assert_eq!(found(&storage, one), [Some(one.place()), Some(one.place())]);
    }
    let rows = storage.into_rows();
    assert_eq!(rows.get([b's'].as_slice()), Some(&vec![3]));
    let is_old = |key: &Vec<u8>| key.first().is_some_and(|tag| b"dik".contains(tag));
    assert!(!rows.keys().any(is_old));
}
