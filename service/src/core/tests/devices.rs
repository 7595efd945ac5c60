//! Devices that can be pushed to: the cost of keeping them is in proportion to what clients send.

use serde_json::{Value, json};

use sampan::model::{AppId, ClientId, ConversationId};

use super::*;
use crate::storage::Storage as _;

const ON: &str = r#"{"push":{"enabled":true,"template":{"alert":"x","badge":"Increment"}}}"#;

/// Bytes that may be written for each that came.
const TIMES_MAX: u64 = 64;

/// The least that a change of a device takes over HTTP beside its body: the line of the request, and the headers
/// with the app's id and key.
const HTTP_BYTES: u64 = 113;

/// The bytes that the WebSocket puts before a short command.
const FRAME_BYTES: u64 = 6;

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap()
}

impl World {
    fn written(&self) -> u64 {
        self.core.storage().work().written_bytes
    }

    /// Announces a device whose record is as large as can be; answers its object id.
    fn announce_large(&mut self, name: &str) -> String {
        let text = "y".repeat(255);
        let channels: Vec<String> = (10..42).map(|n| format!("{n}{}", "c".repeat(62))).collect();
        let body = json!({
            "deviceToken": name,
            "installationId": format!("{name:i<512}"),
            "apnsTopic": text, "apnsTeamId": text, "deviceProfile": text, "vendor": text,
            "timeZone": text, "deviceType": text, "channels": channels,
        });
        let call = RestCall::Installation(InstallationCall::Announce { body });
        let answer = self.http(call);
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["objectId"].as_str().unwrap().to_owned()
    }

    fn shown(&mut self, id: &str) -> Value {
        let id = id.to_owned();
        let call = RestCall::Installation(InstallationCall::Show { id });
        self.http(call).body
    }

    /// Signs in on a device and goes; answers how much came.
    fn visit_device(&mut self, client: &str, device: &str, closes: bool) -> u64 {
        self.input(Input::Connected {
            connection: ConnectionId(9),
            mode: OfflineMode::Push,
        });
        let body = SessionCommand {
            device_id: Some(device.to_owned()),
            ..SessionCommand::default()
        };
        let mut envelope = Envelope::new(Command::session(Op::Open, body));
        envelope.app_id = Some("myApp".to_owned());
        let envelope = envelope.with_peer(client).with_serial(Serial(1));
        let mut bytes = length(envelope.to_bytes().len()) + FRAME_BYTES;
        self.receive(9, envelope);
        if closes {
            let close = Envelope::new(Command::session(Op::Close, SessionCommand::default()));
            bytes += length(close.to_bytes().len()) + FRAME_BYTES;
            self.receive(9, close);
        }
        self.input(Input::Lost {
            connection: ConnectionId(9),
        });
        bytes
    }
}

#[test]
fn who_signs_in_on_a_device_of_many_has_little_written() {
    for closes in [false, true] {
        let mut world = World::with(ON);
        let id = world.announce_large("t");
        let (before, mut received) = (world.written(), 0);
        for number in 0..200 {
            received += world.visit_device(&format!("c{number:03}"), "t", closes);
        }
        let times = (world.written() - before).div_ceil(received);
        assert!(
            times <= TIMES_MAX,
            "{times} bytes for each, closing: {closes}"
        );
        // A device is of a bounded number of clients beside its channels; the last one is among them.
        let channels = world.shown(&id)["channels"].as_array().unwrap().clone();
        let clients = channels.iter().filter(|it| it.as_str().unwrap().len() == 4);
        assert_eq!(clients.count(), if closes { 0 } else { 16 });
        assert_eq!(channels.contains(&json!("c199")), !closes);
    }
}

#[test]
fn a_small_change_of_a_large_device_writes_in_proportion() {
    let mut world = World::with(ON);
    let id = world.announce_large("t");
    let (before, mut received) = (world.written(), 0);
    for badge in 0..40 {
        let body = json!({ "badge": badge % 10 });
        received += HTTP_BYTES + length(body.to_string().len());
        let id = id.clone();
        let call = RestCall::Installation(InstallationCall::Change { id, body });
        assert_eq!(world.http(call).status, 200);
    }
    let times = (world.written() - before).div_ceil(received);
    assert!(times <= TIMES_MAX, "{times} bytes for each");
}

#[test]
fn numbers_on_icons_grow_at_once_and_are_kept_once_a_minute() {
    let mut world = World::with(ON);
    let names: Vec<String> = (100..400).map(|n| format!("n{n}")).collect();
    let mut ids = Vec::new();
    for name in &names {
        ids.push(world.announce_large(name));
        world.visit_device(name, name, false);
    }
    let question = PushQuestion {
        app: AppId::new("myApp").unwrap(),
        conversation: ConversationId::new("c").unwrap(),
        clients: names[..100]
            .iter()
            .map(|it| ClientId::new(it).unwrap())
            .collect(),
        force: false,
        counts: true,
    };
    let before = world.written();
    for round in 1..=50_u32 {
        let targets = now(world.core.push_targets(&question)).unwrap();
        assert_eq!(targets.len(), 100);
        assert!(targets.iter().all(|it| it.badge == round));
        assert_eq!(world.shown(&ids[0])["badge"], json!(round));
    }
    assert_eq!(world.written(), before, "nothing is written for a push");
    world.wait(Duration::from_secs(60));
    assert!(world.written() - before <= 100 * 80, "a short row for each");
    let of = |storage: &MemoryStorage, id: &str| {
        let app = AppId::new("myApp").unwrap();
        now(storage.installation(&app, id)).unwrap().unwrap().badge
    };
    assert_eq!(of(world.core.storage(), &ids[7]), 50);
    // A device that sets its number begins there, also while a larger one waits to be kept.
    now(world.core.push_targets(&question)).unwrap();
    let (id, body) = (ids[7].clone(), json!({"badge": 0}));
    world.http(RestCall::Installation(InstallationCall::Change {
        id,
        body,
    }));
    let targets = now(world.core.push_targets(&question)).unwrap();
    let badges: Vec<u32> = targets.iter().map(|it| it.badge).collect();
    assert_eq!((badges[6], badges[7]), (52, 1));
    world.input(Input::Leaving);
    assert_eq!(of(world.core.storage(), &ids[6]), 52);
    assert_eq!(of(world.core.storage(), &ids[7]), 1);
}

#[test]
fn a_device_that_is_taken_over_leaves_no_row_behind() {
    let mut world = World::with(ON);
    let announce = |world: &mut World, body: Value| {
        let call = RestCall::Installation(InstallationCall::Announce { body });
        world.http(call).body["objectId"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = announce(
        &mut world,
        json!({"deviceToken": "a", "installationId": "b"}),
    );
    world.visit_device("Tom", "a", false);
    world.visit_device("Ann", "b", false);
    let second = announce(&mut world, json!({"deviceToken": "c"}));
    // Its second name was the first one's token: the first device is this one now.
    let change = json!({"installationId": "a"});
    let id = second.clone();
    world.http(RestCall::Installation(InstallationCall::Change {
        id,
        body: change,
    }));
    assert_eq!(world.shown(&first)["code"], json!(101));
    assert_eq!(world.shown(&second)["channels"], json!([]));
    let app = AppId::new("myApp").unwrap();
    for client in ["Tom", "Ann"] {
        let client = ClientId::new(client).unwrap();
        let found = now(world.core.storage().installations_of(&app, &client, 9)).unwrap();
        assert_eq!(found, [], "{client}");
    }
    let found = now(world.core.storage().installation_named(&app, "b")).unwrap();
    assert_eq!(found, None);
}
