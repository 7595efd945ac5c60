//! Messages that a peer of the first generation missed: fifty of them, for seven days.

use super::*;

impl World {
    /// Signs a peer in that watches others, in push mode; answers the conversations and ids of what it is pushed.
    fn comes_back(
        &mut self,
        connection: u64,
        client: &str,
        watched: &[&str],
    ) -> Vec<(String, String)> {
        self.input(Input::Connected {
            connection: ConnectionId(connection),
            mode: OfflineMode::Push,
        });
        let mut open = Envelope::new(Command::session(Op::Open, watching(watched)));
        open.app_id = Some("myApp".to_owned());
        self.sent.clear();
        self.receive(connection, open.with_peer(client).with_serial(Serial(7)));
        let told = self.sent.iter().filter(|(to, _)| *to == connection);
        let directs = told.filter_map(|(_, it)| match &it.command {
            Command::Direct(body) => Some(body.clone()),
            _ => None,
        });
        let pushed = directs.inspect(|it| assert_eq!(it.offline, Some(true)));
        pushed.map(|it| (it.cid.unwrap(), it.id.unwrap())).collect()
    }
}

/// S219, S349: of all that a peer missed the newest fifty are pushed, in order, and only those of the last seven days.
#[test]
fn s219_s349_a_peer_that_comes_back_is_pushed_fifty_messages_of_seven_days() {
    let mut world = World::with("{}");
    world.open_watching(1, "Tom", watching(&["Jerry"])).unwrap();
    assert_eq!(world.comes_back(2, "Jerry", &["Tom"]), []);
    let group = world.start(1, with_members(&["Tom", "Jerry"]));
    world.lose(2);
    let mut said = Vec::new();
    for number in 0..60 {
        // A moment for each: their order is that of time.
        world.wait(Duration::from_millis(5));
        if number % 3 == 0 {
            let body = DirectCommand {
                cid: Some(group.clone()),
                msg: Some("to all".to_owned()),
                ..DirectCommand::default()
            };
            match world.ask(1, Command::direct(body)) {
                Command::Ack(ack) => said.push((group.clone(), ack.uid.unwrap())),
                other => panic!("not acknowledged: {other:?}"),
            }
        } else {
            said.push(
                world
                    .say_to(1, &["Jerry"], DirectCommand::default())
                    .unwrap(),
            );
        }
    }
    assert_eq!(world.comes_back(3, "Jerry", &["Tom"]), said[10..]);
    world.lose(3);
    // A client of a later generation is pushed twenty of each conversation.
    world.comes_back(4, "Jerry", &[]);
    let pushed = world
        .sent
        .iter()
        .filter(|(to, it)| *to == 4 && matches!(it.command, Command::Direct(_)));
    assert_eq!(pushed.count(), 40);
    world.lose(4);
    world.wait(Duration::from_secs(7 * 24 * 3600 - 60));
    assert_eq!(
        world.comes_back(5, "Jerry", &["Tom"]).len(),
        50,
        "still within seven days"
    );
    world.lose(5);
    world.wait(Duration::from_secs(120));
    let late = world
        .say_to(1, &["Jerry"], DirectCommand::default())
        .unwrap();
    assert_eq!(
        world.comes_back(6, "Jerry", &["Tom"]),
        [late],
        "after seven days"
    );
}
