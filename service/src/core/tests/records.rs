//! Records that an app's own servers read: a page is read in parts of a bounded cost, and is the same as if it
//! were read at once.

use serde_json::Value;

use super::*;

/// The most that a part may cost: it ends with the first read behind a few thousand units.
const PART_MAX: u64 = 4_000;

/// Conversations, each with a few messages.
const CONVERSATIONS: usize = 120;
const MESSAGES: usize = 3;

fn of_app(query: &[(&str, &str)]) -> RecordsCall {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let query = query.iter().map(owned).collect();
    RecordsCall::OfApp { query }
}

impl World {
    /// A world in which Tom and Jerry said long things in many conversations, in turn.
    fn with_records() -> (Self, Vec<String>) {
        let mut world = Self::with("{}");
        world.open(1, "Tom", OfflineMode::Unread);
        world.open(2, "Jerry", OfflineMode::Unread);
        let (mut cids, mut said) = (Vec::new(), Vec::new());
        for number in 0..CONVERSATIONS {
            let mut body = with_members(&["Tom", "Jerry"]);
            let data = format!(r#"{{"name":"{number}"}}"#);
            body.attr = Some(sampan::wire::generated::JsonObjectMessage { data });
            cids.push(world.start(1, body));
        }
        for round in 0..MESSAGES {
            for (number, cid) in cids.iter().enumerate() {
                world.at += Duration::from_millis(1);
                let text = format!("{round} {number} {}", "x".repeat(4_000));
                let body = DirectCommand {
                    cid: Some(cid.clone()),
                    msg: Some(text.clone()),
                    ..DirectCommand::default()
                };
                world.ask(
                    1 + (number as u64 + round as u64) % 2,
                    Command::direct(body),
                );
                said.push(text);
            }
        }
        world.sent.clear();
        (world, said)
    }

    /// Reads records in parts; answers the largest cost of one, how many there were, and the answer.
    fn records(&mut self, call: RecordsCall) -> (u64, usize, RestAnswer) {
        let app = sampan::model::AppId::new("myApp").unwrap();
        let call = RestCall::Records(call);
        let request = Box::new(RestRequest { app, call });
        let ticket = Ticket(5);
        let time = Now {
            elapsed: self.at,
            wall: Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap()),
        };
        self.core.take_cost();
        let mut effects = now(self.core.begin(time, Input::Asked { ticket, request }));
        let (mut largest, mut parts) = (self.core.take_cost(), 1);
        while self.core.is_reading(ticket) {
            assert!(effects.is_empty(), "it was answered already");
            effects = now(self.core.read_on(time, ticket));
            largest = largest.max(self.core.take_cost());
            parts += 1;
            assert!(parts < 10_000, "it does not end");
        }
        let answer = effects.into_iter().find_map(|effect| match effect {
            Effect::Answer { answer, .. } => Some(*answer),
            _ => None,
        });
        (largest, parts, answer.expect("an answer"))
    }
}

fn texts(answer: &RestAnswer) -> Vec<String> {
    let rows = answer.body.as_array().unwrap().iter();
    rows.map(|row| row["data"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_page_of_the_whole_history_is_read_in_parts_and_in_order() {
    let (mut world, said) = World::with_records();
    let (largest, parts, answer) = world.records(of_app(&[("limit", "1000")]));
    let newest_first: Vec<String> = said.iter().rev().cloned().collect();
    assert_eq!(texts(&answer), newest_first);
    assert!(parts > 2, "{parts} parts");
    assert!(largest <= PART_MAX, "a part costs {largest}");
    let (_, _, answer) = world.records(of_app(&[("limit", "7"), ("reversed", "true")]));
    assert_eq!(texts(&answer), said[..7]);
    // The page behind it.
    let last = answer.body.as_array().unwrap().last().unwrap().clone();
    let at = last["timestamp"].to_string();
    let id = last["msg-id"].as_str().unwrap().to_owned();
    let query = [
        ("limit", "7"),
        ("reversed", "true"),
        ("timestamp", &at),
        ("msgid", &id),
    ];
    let (_, _, answer) = world.records(of_app(&query));
    assert_eq!(texts(&answer), said[7..14]);
}

#[test]
fn the_messages_of_one_client_are_its_own_alone() {
    let (mut world, said) = World::with_records();
    let call = RecordsCall::OfClient {
        id: "Tom".to_owned(),
        query: [("limit".to_owned(), "1000".to_owned())].into(),
    };
    let (largest, _, answer) = world.records(call);
    let of_tom = said.iter().rev().filter(|text| {
        let mut numbers = text.split(' ').map(|it| it.parse::<usize>().unwrap_or(0));
        (numbers.next().unwrap() + numbers.next().unwrap()).is_multiple_of(2)
    });
    assert_eq!(texts(&answer), of_tom.cloned().collect::<Vec<_>>());
    assert!(largest <= PART_MAX, "a part costs {largest}");
}

#[test]
fn a_table_is_read_in_parts_and_goes_on_at_its_cursor() {
    let (mut world, _) = World::with_records();
    let (mut names, mut cursor) = (Vec::new(), None);
    loop {
        let mut query: BTreeMap<String, String> = [("limit".to_owned(), "50".to_owned())].into();
        query.extend(cursor.take().map(|it: String| ("cursor".to_owned(), it)));
        let class = "_Conversation".to_owned();
        let (largest, _, answer) = world.records(RecordsCall::OfTable { class, query });
        assert!(largest <= PART_MAX, "a part costs {largest}");
        let rows = answer.body["results"].as_array().unwrap();
        names.extend(
            rows.iter()
                .map(|row| row["name"].as_str().unwrap().to_owned()),
        );
        cursor = answer.body["cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        assert_eq!(rows.len(), 50);
    }
    let mut numbers: Vec<usize> = names.iter().map(|it| it.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..CONVERSATIONS).collect::<Vec<_>>());
}

#[test]
fn a_page_that_is_half_read_is_answered_when_the_data_can_not_be_written() {
    let (mut world, _) = World::with_records();
    let app = sampan::model::AppId::new("myApp").unwrap();
    let ask = |world: &mut World, number| {
        let (app, call) = (app.clone(), RestCall::Records(of_app(&[])));
        let request = Box::new(RestRequest { app, call });
        let ticket = Ticket(number);
        let time = Now {
            elapsed: world.at,
            wall: Timestamp::ZERO,
        };
        now(world.core.begin(time, Input::Asked { ticket, request }));
        world.core.is_reading(ticket)
    };
    // More than may be read at a time: the last ones wait.
    assert!((0..8).all(|number| ask(&mut world, number)));
    let told = world
        .core
        .abandon()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::Answer { ticket, answer } => Some((ticket.0, answer.status)),
            _ => None,
        });
    let each_failed: Vec<_> = (0..8).map(|number| (number, 500)).collect();
    assert_eq!(told.collect::<Vec<_>>(), each_failed);
}

#[test]
fn a_conversation_that_is_not_here_and_a_wrong_query_are_refused() {
    let (mut world, _) = World::with_records();
    let query = BTreeMap::new;
    let of = |id: &str| RecordsCall::OfConversation {
        id: id.to_owned(),
        query: query(),
    };
    let status = |call| {
        let (_, _, answer) = world.records(call);
        (answer.status, answer.body)
    };
    let mut status = status;
    assert_eq!(status(of("5f0000000000000000000000")).0, 404);
    assert_eq!(status(of("")).0, 404);
    assert_eq!(status(of_app(&[("limit", "many")])).0, 400);
    let nobody = RecordsCall::OfClient {
        id: String::new(),
        query: query(),
    };
    assert_eq!(status(nobody), (200, Value::Array(Vec::new())));
}
