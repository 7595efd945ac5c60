//! Which devices a message is pushed to.

use sampan::model::{AppId, ClientId, ConversationId};
use serde_json::{Value, json};

use super::*;

const ON: &str = r#"{"push":{"enabled":true,"template":{"alert":"x"}}}"#;
const SIGNED: &str = r#"{"push":{"enabled":true},"signatures":{"login":true}}"#;

impl World {
    /// A device announces itself; answers its object id.
    fn announce(&mut self, body: Value) -> String {
        let answer = self.http(RestCall::Installation(InstallationCall::Announce { body }));
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["objectId"].as_str().unwrap().to_owned()
    }

    fn change_device(&mut self, id: &str, body: Value) -> RestAnswer {
        let id = id.to_owned();
        self.http(RestCall::Installation(InstallationCall::Change {
            id,
            body,
        }))
    }

    fn device(&mut self, id: &str) -> Value {
        let id = id.to_owned();
        self.http(RestCall::Installation(InstallationCall::Show { id }))
            .body
    }

    fn sign_in_on(&mut self, connection: u64, client: &str, device: &str) {
        self.input(Input::Connected {
            connection: ConnectionId(connection),
            mode: OfflineMode::Unread,
        });
        let body = SessionCommand {
            device_id: Some(device.to_owned()),
            ..SessionCommand::default()
        };
        let mut envelope = Envelope::new(Command::session(Op::Open, body));
        envelope.app_id = Some("myApp".to_owned());
        self.receive(
            connection,
            envelope.with_peer(client).with_serial(Serial(1)),
        );
    }

    /// The tokens of the devices that clients are pushed to.
    fn targets(&mut self, cid: &str, clients: &[&str], force: bool) -> Vec<String> {
        let question = PushQuestion {
            app: AppId::new("myApp").unwrap(),
            conversation: ConversationId::new(cid).unwrap(),
            clients: clients
                .iter()
                .map(|it| ClientId::new(*it).unwrap())
                .collect(),
            force,
            counts: false,
        };
        let found = now(self.core.push_targets(&question)).unwrap();
        found.into_iter().map(|it| it.token).collect()
    }
}

// S249
#[test]
fn s249_a_device_is_its_clients_from_sign_in_to_sign_out() {
    let mut world = World::with(ON);
    let early = world.announce(json!({"deviceToken": "t1", "installationId": "i1"}));
    world.sign_in_on(1, "Jerry", "i1");
    assert_eq!(world.device(&early)["channels"], json!(["Jerry"]));
    // A device that announces itself after the sign-in is its client's too.
    world.sign_in_on(2, "Spike", "i2");
    let late = world.announce(json!({"deviceToken": "t2", "installationId": "i2"}));
    assert_eq!(world.device(&late)["channels"], json!(["Spike"]));
    // An online client has the message.
    assert!(world.targets("c", &["Jerry", "Spike"], false).is_empty());
    world.input(Input::Lost {
        connection: ConnectionId(1),
    });
    world.ask(2, Command::session(Op::Close, SessionCommand::default()));
    assert_eq!(world.targets("c", &["Jerry", "Spike"], false), ["t1"]);
    assert_eq!(world.device(&late)["channels"], json!([]));
}

#[test]
fn a_channel_counts_only_where_a_name_is_enough_to_sign_in() {
    for (settings, expected) in [(ON, vec!["t1"]), (SIGNED, vec![])] {
        let mut world = World::with(settings);
        world.announce(json!({"deviceToken": "t1", "channels": ["Jerry"]}));
        assert_eq!(
            world.targets("c", &["Jerry"], false),
            expected,
            "{settings}"
        );
    }
}

// S257
#[test]
fn s257_who_muted_a_conversation_is_pushed_to_only_by_force() {
    let mut world = World::with(ON);
    world.announce(json!({"deviceToken": "t1", "channels": ["Jerry"]}));
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Jerry", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Jerry"]));
    world.ask(2, Command::conv(Op::Mute, about(&cid, &[])));
    world.input(Input::Lost {
        connection: ConnectionId(2),
    });
    assert!(world.targets(&cid, &["Jerry"], false).is_empty());
    assert_eq!(world.targets(&cid, &["Jerry"], true), ["t1"]);
    assert_eq!(world.targets("another", &["Jerry"], false), ["t1"]);
}

#[test]
fn an_address_belongs_to_one_device_and_is_pushed_to_once() {
    let mut world = World::with(ON);
    let id = world.announce(json!({"deviceToken": "t1", "channels": ["Jerry", "Spike"]}));
    assert_eq!(world.targets("c", &["Jerry", "Spike"], false), ["t1"]);
    assert_eq!(world.announce(json!({"deviceToken": "t1"})), id);
    // A device that takes over the address of another takes its place.
    let other = world.announce(json!({"installationId": "i2", "channels": ["Jerry"]}));
    assert!(world.targets("c", &["Nobody"], false).is_empty());
    assert_eq!(
        world
            .change_device(&other, json!({"deviceToken": "t1"}))
            .status,
        200
    );
    assert_eq!(world.targets("c", &["Jerry", "Spike"], false), ["t1"]);
    assert_eq!(world.change_device(&id, json!({})).status, 404);
    let app = AppId::new("myApp").unwrap();
    now(world.core.push_refused(&app, &other, "t0")).unwrap();
    assert_eq!(world.targets("c", &["Jerry"], false), ["t1"]);
    now(world.core.push_refused(&app, &other, "t1")).unwrap();
    assert!(world.targets("c", &["Jerry"], false).is_empty());
}

#[test]
fn channels_change_by_operations_and_what_cannot_be_is_refused() {
    let mut world = World::with(ON);
    let id = world.announce(json!({"deviceToken": "t1", "channels": ["a"]}));
    for (change, channels) in [
        (
            json!({"channels": {"__op": "AddUnique", "objects": ["b", "a"]}}),
            json!(["a", "b"]),
        ),
        (
            json!({"channels": {"__op": "Remove", "objects": ["a"]}}),
            json!(["b"]),
        ),
        (json!({"channels": {"__op": "Delete"}}), json!([])),
    ] {
        assert_eq!(world.change_device(&id, change).status, 200);
        assert_eq!(world.device(&id)["channels"], channels);
    }
    let long = "x".repeat(600);
    for change in [
        json!([]),
        json!({"deviceToken": 7}),
        json!({"deviceToken": long}),
        json!({"channels": "a"}),
        json!({"channels": [""]}),
        json!({"channels": {"__op": "Increment"}}),
        json!({"badge": -1}),
    ] {
        assert_eq!(
            world.change_device(&id, change.clone()).status,
            400,
            "{change}"
        );
    }
    let call = RestCall::Installation(InstallationCall::Announce {
        body: json!({"deviceType": "ios"}),
    });
    assert_eq!(world.http(call).status, 400);
}

#[test]
fn a_field_of_a_device_is_taken_away_in_each_way_that_sdks_write() {
    let mut world = World::with(ON);
    let id = world
        .announce(json!({"deviceToken": "t1", "apnsTopic": "a", "vendor": "b", "timeZone": "c"}));
    for (key, gone) in [
        ("apnsTopic", json!({"__op": "Delete"})),
        ("vendor", json!(null)),
        ("timeZone", json!("")),
    ] {
        assert_ne!(world.device(&id)[key], json!(null));
        assert_eq!(world.change_device(&id, json!({ key: gone })).status, 200);
        assert_eq!(world.device(&id)[key], json!(null), "{key}");
    }
}

#[test]
fn a_message_is_ordered_to_be_pushed_once_for_all_who_are_offline() {
    let mut world = World::with(ON);
    world.open(1, "Tom", OfflineMode::Unread);
    world.open(2, "Spike", OfflineMode::Unread);
    let cid = world.start(1, with_members(&["Jerry", "Spike"]));
    let message = |transient| {
        Command::direct(DirectCommand {
            cid: Some(cid.clone()),
            msg: Some("hi".to_owned()),
            transient,
            ..DirectCommand::default()
        })
    };
    let orders = |world: &mut World, command: Command| -> Vec<PushOrder> {
        let effects = world.input(Input::Received {
            connection: ConnectionId(1),
            envelope: Box::new(Envelope::new(command).with_serial(Serial(9))),
        });
        let orders = effects.into_iter().filter_map(|effect| match effect {
            Effect::Push(order) => Some(*order),
            _ => None,
        });
        orders.collect()
    };
    let made = orders(&mut world, message(None));
    let [order] = made.as_slice() else {
        panic!("{made:?}");
    };
    assert_eq!(order.offline, [ClientId::new("Jerry").unwrap()]);
    assert_eq!(order.payload.as_ref().unwrap()["alert"], "x");
    assert!(orders(&mut world, message(Some(true))).is_empty());
}

#[test]
fn a_client_that_is_kept_out_or_erased_is_pushed_nothing() {
    use super::servers::request;
    for call in [ServerCall::Bar, ServerCall::Erase] {
        let mut world = World::with(ON);
        let id = world.announce(json!({"deviceToken": "t1", "channels": ["Jerry", "Spike"]}));
        world.done(request(call).of("Jerry").body(json!({})));
        assert!(world.targets("c", &["Jerry"], false).is_empty(), "{call:?}");
        assert_eq!(world.targets("c", &["Spike"], false), ["t1"]);
        assert_eq!(world.device(&id)["channels"], json!(["Spike"]));
    }
}
