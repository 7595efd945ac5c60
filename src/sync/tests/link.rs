//! The link alone: when it connects, what it sends, who gets an answer.

use std::time::Duration;

use crate::model::{AppId, ClientId, ConnectionState, Now, Timestamp};
use crate::sync::Randomness;
use crate::sync::link::{
    ClientSlot, ConnectionNumber, Delivery, Link, LinkEffect, LinkInput, LinkOptions, LinkRequest,
    LinkStep, LinkWish, LookUpNumber, NetworkChange, RequestTag, Unanswered,
};
use crate::wire::Subprotocol;
use crate::wire::{CloseCode, Command, Direction, Encoding, Envelope, Frame, Serial, ServiceCode};
use crate::{Limits, ServerAddress};

const ANN: ClientSlot = ClientSlot(1);
const BEN: ClientSlot = ClientSlot(2);
const ROUTE: &[u8] = br#"{"server":"wss://a","secondary":"wss://b","ttl":7200}"#;

/// A link with two clients, its time, and what it did last.
struct Bench {
    link: Link,
    now: Duration,
    step: LinkStep,
}

impl Bench {
    fn new() -> Self {
        let options = LinkOptions {
            app_id: AppId::new("app").unwrap(),
            server: ServerAddress::Router {
                url: "https://chat".into(),
            },
            subprotocol: Subprotocol::DEFAULT,
            limits: Limits::default(),
        };
        let mut bench = Self {
            link: Link::new(options, Randomness::seeded(1)),
            now: Duration::ZERO,
            step: LinkStep::default(),
        };
        for (slot, name) in [(ANN, "ann"), (BEN, "ben")] {
            let client = ClientId::new(name).unwrap();
            bench.feed(LinkInput::Attach { slot, client });
        }
        bench
    }

    fn feed(&mut self, input: LinkInput) -> &LinkStep {
        let now = Now {
            elapsed: self.now,
            wall: Timestamp::ZERO,
        };
        self.step = self.link.handle(now, input);
        &self.step
    }

    /// Lets time pass until the link wants to be woken, and wakes it.
    fn sleep(&mut self) -> Duration {
        let pause = self.step.wake_after.expect("a timer");
        self.now += pause;
        self.feed(LinkInput::Woke);
        pause
    }

    fn wish(&mut self, slot: ClientSlot, wish: LinkWish) {
        self.feed(LinkInput::Wish { slot, wish });
    }

    /// Ann online over the first connection.
    fn online() -> Self {
        let mut bench = Self::new();
        bench.wish(ANN, LinkWish::Online);
        bench.route(1);
        bench.open(1);
        bench
    }

    fn route(&mut self, lookup: u64) {
        let answer = Some(ROUTE.to_vec());
        let lookup = LookUpNumber(lookup);
        self.feed(LinkInput::Routed { lookup, answer });
    }

    fn open(&mut self, connection: u64) {
        self.feed(LinkInput::Connected {
            connection: ConnectionNumber(connection),
            subprotocol: Some("lc.protobuf2.3".into()),
        });
    }

    fn close(&mut self, connection: u64, code: Option<u16>) {
        self.feed(LinkInput::Disconnected {
            connection: ConnectionNumber(connection),
            close: code.map(CloseCode),
        });
    }

    fn receive(&mut self, connection: u64, envelope: &Envelope) {
        let frame = Frame::encode(envelope, Encoding::Binary, Direction::ToClient).unwrap();
        let connection = ConnectionNumber(connection);
        self.feed(LinkInput::Received { connection, frame });
    }

    fn submit(&mut self, slot: ClientSlot, tag: u64) {
        let request = LinkRequest {
            tag: Some(RequestTag(tag)),
            envelope: Envelope::new(Command::Echo),
        };
        self.feed(LinkInput::Submit { slot, request });
    }

    /// The commands that the last step sends.
    fn sent(&self) -> Vec<Envelope> {
        let frames = self.step.effects.iter().filter_map(|effect| match effect {
            LinkEffect::Send { frame, .. } => Some(frame),
            _ => None,
        });
        let decode = |frame: &Frame<'_>| frame.decode(Encoding::Binary, Direction::ToService);
        frames.map(|frame| decode(frame).unwrap()).collect()
    }

    /// The URLs that the last step connects to.
    fn dialled(&self) -> Vec<&str> {
        let urls = self.step.effects.iter().filter_map(|effect| match effect {
            LinkEffect::Connect { url, .. } => Some(url.as_str()),
            _ => None,
        });
        urls.collect()
    }
}

fn lost(tag: u64, reason: Unanswered) -> Delivery {
    Delivery::Reply {
        tag: RequestTag(tag),
        outcome: Err(reason),
    }
}

#[test]
fn nothing_happens_until_a_client_wants_to_be_online() {
    let bench = Bench::new();
    assert!(bench.step.effects.is_empty());
    assert_eq!(bench.step.wake_after, None);
}

#[test]
fn a_wish_leads_over_the_router_to_a_connection_that_the_client_is_told_of() {
    let mut bench = Bench::new();
    bench.wish(ANN, LinkWish::Online);
    assert_eq!(
        bench.step.state,
        Some(ConnectionState::Connecting { attempt: 0 })
    );
    bench.route(1);
    assert_eq!(bench.dialled(), ["wss://a"]);
    bench.open(1);
    assert_eq!(bench.step.deliveries, [(ANN, Delivery::Connected)]);
    assert_eq!(bench.step.state, Some(ConnectionState::Connected));
    bench.wish(BEN, LinkWish::Online);
    assert_eq!(bench.step.deliveries, [(BEN, Delivery::Connected)]);
}

#[test]
fn a_service_that_does_not_echo_the_subprotocol_is_not_spoken_to() {
    let mut bench = Bench::new();
    bench.wish(ANN, LinkWish::Online);
    bench.route(1);
    let connection = ConnectionNumber(1);
    let subprotocol = None;
    bench.feed(LinkInput::Connected {
        connection,
        subprotocol,
    });
    assert_eq!(bench.step.effects, [LinkEffect::Disconnect { connection }]);
    assert!(bench.step.deliveries.is_empty());
}

#[test]
fn failed_attempts_wait_longer_and_longer_and_alternate_the_addresses() {
    let mut bench = Bench::new();
    bench.wish(ANN, LinkWish::Online);
    bench.route(1);
    let mut urls = vec![bench.dialled()[0].to_owned()];
    let mut pauses = Vec::new();
    let mut lookups = 1;
    for connection in 1..=12 {
        bench.close(connection, None);
        pauses.push(bench.sleep());
        if bench.dialled().is_empty() {
            lookups += 1;
            bench.route(lookups);
        }
        urls.push(bench.dialled()[0].to_owned());
    }
    let turns = ["wss://a", "wss://b", "wss://a", "wss://b"];
    assert_eq!(
        urls,
        [&turns[..], &turns[..], &turns[..], &turns[..1]].concat()
    );
    for (n, pause) in pauses.iter().enumerate() {
        let longest = Duration::from_secs((1 << n).min(300));
        assert!(*pause <= longest && *pause >= longest / 2, "{n}: {pause:?}");
    }
}

#[test]
fn a_frame_that_arrives_ends_the_growth_of_the_pauses() {
    let mut bench = Bench::new();
    bench.wish(ANN, LinkWish::Online);
    bench.route(1);
    for connection in 1..=3 {
        bench.close(connection, None);
        bench.sleep();
    }
    bench.close(4, None);
    bench.sleep();
    bench.route(2);
    bench.close(5, None);
    bench.sleep();
    bench.open(6);
    bench.receive(6, &Envelope::new(Command::Echo));
    bench.close(6, Some(1006));
    assert!(bench.sleep() <= Duration::from_secs(1));
}

#[test]
fn requests_are_numbered_from_one_and_answered_to_who_asked() {
    let mut bench = Bench::online();
    bench.submit(ANN, 70);
    bench.wish(BEN, LinkWish::Online);
    bench.submit(BEN, 70);
    let sent = bench.sent();
    assert_eq!(sent[0].serial, Some(Serial(2)));
    assert_eq!(sent[0].peer_id.as_deref(), Some("ben"));
    let reply = Envelope::new(Command::Echo).with_serial(Serial(1));
    bench.receive(1, &reply);
    let expected = Delivery::Reply {
        tag: RequestTag(70),
        outcome: Ok(reply),
    };
    assert_eq!(bench.step.deliveries, [(ANN, expected)]);
}

#[test]
fn a_request_times_out_and_its_late_answer_is_still_delivered() {
    let mut bench = Bench::online();
    bench.submit(ANN, 7);
    assert_eq!(bench.sleep(), Duration::from_secs(20));
    assert_eq!(
        bench.step.deliveries,
        [(ANN, lost(7, Unanswered::TimedOut))]
    );
    bench.receive(1, &Envelope::new(Command::Echo).with_serial(Serial(1)));
    assert_eq!(bench.step.deliveries.len(), 1);
    bench.receive(1, &Envelope::new(Command::Echo).with_serial(Serial(1)));
    assert!(bench.step.deliveries.is_empty());
}

#[test]
fn a_broken_connection_answers_all_who_wait_before_they_are_told() {
    let mut bench = Bench::online();
    bench.submit(ANN, 1);
    bench.submit(ANN, 2);
    bench.close(1, None);
    let expected = [
        (ANN, lost(1, Unanswered::ConnectionLost)),
        (ANN, lost(2, Unanswered::ConnectionLost)),
        (ANN, Delivery::Disconnected),
    ];
    assert_eq!(bench.step.deliveries, expected);
    bench.submit(ANN, 3);
    let expected = [(ANN, lost(3, Unanswered::NotConnected))];
    assert_eq!(bench.step.deliveries, expected);
}

#[test]
fn a_silent_connection_gets_heartbeats_and_is_dead_after_380_seconds() {
    let mut bench = Bench::online();
    for _ in 0..2 {
        assert_eq!(bench.sleep(), Duration::from_secs(180));
        assert_eq!(bench.sent()[0].command, Command::Echo);
        assert!(bench.sent()[0].serial.is_some());
    }
    assert_eq!(bench.sleep(), Duration::from_secs(20));
    assert_eq!(bench.step.deliveries, [(ANN, Delivery::Disconnected)]);
}

#[test]
fn frames_put_the_heartbeat_off() {
    let mut bench = Bench::online();
    bench.now += Duration::from_secs(100);
    bench.receive(1, &Envelope::new(Command::Echo));
    assert_eq!(bench.step.wake_after, Some(Duration::from_secs(180)));
}

#[test]
fn a_changed_network_puts_the_connection_in_doubt_until_something_comes() {
    let mut bench = Bench::online();
    bench.feed(LinkInput::Network(NetworkChange::Switched));
    assert_eq!(bench.sent().len(), 1);
    let mut dead = Bench::online();
    dead.feed(LinkInput::Network(NetworkChange::Switched));
    dead.sleep();
    assert_eq!(dead.step.deliveries, [(ANN, Delivery::Disconnected)]);
    bench.receive(1, &Envelope::new(Command::Echo).with_serial(Serial(1)));
    assert_eq!(bench.step.wake_after, Some(Duration::from_secs(180)));
}

#[test]
fn without_a_network_nothing_is_tried_and_with_one_at_once() {
    let mut bench = Bench::new();
    bench.feed(LinkInput::Network(NetworkChange::Lost));
    bench.wish(ANN, LinkWish::Online);
    assert_eq!(bench.step.state, Some(ConnectionState::Offline));
    assert_eq!(bench.step.wake_after, None);
    bench.feed(LinkInput::Network(NetworkChange::Back));
    assert_eq!(bench.step.effects.len(), 1);
    bench.route(1);
    bench.close(1, None);
    bench.feed(LinkInput::Network(NetworkChange::Back));
    assert_eq!(bench.step.effects, [look_up(2)]);
}

fn look_up(number: u64) -> LinkEffect {
    LinkEffect::LookUp {
        lookup: LookUpNumber(number),
        base: "https://chat".to_owned(),
    }
}

#[test]
fn a_server_that_dies_without_a_word_is_not_tried_for_as_long_as_the_router_said() {
    let mut bench = Bench::online();
    bench.receive(1, &Envelope::new(Command::Echo));
    let mut tries = 0;
    for connection in 1.. {
        bench.close(connection, None);
        bench.sleep();
        if bench.step.effects == [look_up(2)] {
            break;
        }
        tries += 1;
        assert!(tries < 4, "the router is asked again");
    }
    let lookup = LookUpNumber(2);
    let answer = Some(br#"{"server":"wss://c","ttl":7200}"#.to_vec());
    bench.feed(LinkInput::Routed { lookup, answer });
    assert_eq!(bench.dialled(), ["wss://c"]);
}

#[test]
fn the_router_is_asked_in_another_network_and_after_a_failure_when_the_app_tries_anew() {
    let again: [&[LinkInput]; 4] = [
        &[LinkInput::Network(NetworkChange::Switched)],
        &[LinkInput::Network(NetworkChange::Back)],
        &[LinkInput::Pause, LinkInput::Resume],
        &[
            LinkInput::Wish {
                slot: ANN,
                wish: LinkWish::Idle,
            },
            LinkInput::Wish {
                slot: ANN,
                wish: LinkWish::Online,
            },
        ],
    ];
    for inputs in again {
        let mut bench = Bench::online();
        bench.close(1, None);
        for input in inputs {
            bench.feed(input.clone());
        }
        assert_eq!(bench.step.effects, [look_up(2)], "{inputs:?}");
    }
}

#[test]
fn a_connection_that_worked_until_the_app_slept_costs_no_question_to_the_router() {
    let mut bench = Bench::online();
    bench.receive(1, &Envelope::new(Command::Echo));
    bench.feed(LinkInput::Pause);
    bench.feed(LinkInput::Resume);
    assert_eq!(bench.dialled(), ["wss://a"]);
}

#[test]
fn notifications_go_to_the_client_they_name_or_to_the_only_one() {
    let mut bench = Bench::online();
    let unread = || Envelope::new(Command::Unread(Default::default()));
    bench.receive(1, &unread());
    assert_eq!(bench.step.deliveries[0].0, ANN);
    bench.wish(BEN, LinkWish::Online);
    bench.receive(1, &unread());
    assert!(bench.step.deliveries.is_empty());
    bench.receive(1, &unread().with_peer("ben"));
    assert_eq!(bench.step.deliveries[0].0, BEN);
    let live_query = Envelope {
        service: Some(Envelope::SERVICE_LIVE_QUERY),
        ..unread().with_peer("ben")
    };
    bench.receive(1, &live_query);
    assert!(bench.step.deliveries.is_empty());
}

#[test]
fn goaway_asks_the_router_again() {
    let mut bench = Bench::online();
    bench.receive(1, &Envelope::new(Command::Goaway));
    assert_eq!(bench.step.deliveries, [(ANN, Delivery::Disconnected)]);
    bench.sleep();
    let base = "https://chat".to_owned();
    let lookup = LookUpNumber(2);
    assert_eq!(bench.step.effects, [LinkEffect::LookUp { lookup, base }]);
}

#[test]
fn a_fatal_close_code_stops_until_a_client_wishes_anew() {
    for code in [4100, 4103, 4110] {
        let mut bench = Bench::online();
        bench.close(1, Some(code));
        let code = ServiceCode::new(code.into());
        let refused = (ANN, Delivery::Refused { code });
        assert_eq!(bench.step.deliveries[1..], [refused]);
        assert_eq!(bench.step.wake_after, None);
        bench.wish(ANN, LinkWish::Idle);
        assert!(bench.dialled().is_empty());
        bench.wish(ANN, LinkWish::Online);
        assert_eq!(bench.dialled(), ["wss://a"]);
    }
}

#[test]
fn the_socket_closes_when_nobody_wants_it_and_while_paused() {
    let mut bench = Bench::online();
    bench.feed(LinkInput::Pause);
    let disconnect = LinkEffect::Disconnect {
        connection: ConnectionNumber(1),
    };
    assert_eq!(bench.step.effects, [disconnect]);
    assert_eq!(bench.step.deliveries, [(ANN, Delivery::Disconnected)]);
    assert_eq!(bench.step.state, Some(ConnectionState::Idle));
    bench.feed(LinkInput::Resume);
    assert_eq!(bench.dialled(), ["wss://a"]);
    bench.wish(ANN, LinkWish::Idle);
    assert_eq!(bench.step.effects.len(), 1);
    assert_eq!(bench.step.state, Some(ConnectionState::Idle));
}

#[test]
fn what_belongs_to_an_older_connection_is_ignored() {
    let mut bench = Bench::online();
    bench.close(1, None);
    bench.sleep();
    bench.open(2);
    bench.close(1, Some(4100));
    assert!(bench.step.deliveries.is_empty());
    bench.receive(1, &Envelope::new(Command::Goaway));
    assert!(bench.step.effects.is_empty());
}

#[test]
fn garbage_is_dropped_and_the_connection_lives_on() {
    let mut bench = Bench::online();
    bench.feed(LinkInput::Received {
        connection: ConnectionNumber(1),
        frame: Frame::Binary(vec![0xFF; 40].into()),
    });
    assert_eq!(
        bench.step,
        LinkStep {
            wake_after: Some(Duration::from_secs(180)),
            ..LinkStep::default()
        }
    );
}

#[test]
fn a_request_larger_than_a_command_may_be_is_answered_and_not_sent() {
    let mut bench = Bench::online();
    let body = crate::wire::generated::DirectCommand {
        msg: Some("x".repeat(6000)),
        ..Default::default()
    };
    let request = LinkRequest {
        tag: Some(RequestTag(1)),
        envelope: Envelope::new(Command::direct(body)),
    };
    bench.feed(LinkInput::Submit { slot: ANN, request });
    assert_eq!(bench.step.deliveries, [(ANN, lost(1, Unanswered::TooLong))]);
    assert!(bench.step.effects.is_empty());
}
