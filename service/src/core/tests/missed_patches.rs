//! Edits and recalls that a client missed: all are told after its login, the oldest first, however many there are.

use sampan::wire::generated::{PatchCommand, PatchItem};

use super::*;

impl World {
    /// Says something and edits it; answers the id of the message.
    fn say_and_edit(&mut self, connection: u64, cid: &str, words: usize) -> String {
        let body = DirectCommand {
            cid: Some(cid.to_owned()),
            msg: Some("tpyo".to_owned()),
            ..DirectCommand::default()
        };
        let Command::Ack(ack) = self.ask(connection, Command::direct(body)) else {
            panic!("not acknowledged")
        };
        let item = PatchItem {
            cid: Some(cid.to_owned()),
            mid: ack.uid.clone(),
            timestamp: ack.t,
            data: Some(vec![b'x'; words]),
            ..PatchItem::default()
        };
        let body = PatchCommand {
            patches: vec![item],
            ..PatchCommand::default()
        };
        let reply = self.ask(connection, Command::patch(Op::Modify, body));
        assert!(matches!(
            reply,
            Command::Patch {
                op: Op::Modified,
                ..
            }
        ));
        self.sent.clear();
        ack.uid.unwrap()
    }

    /// Signs in as Jerry, who knows of no edit; answers the messages that are told as edited, in order.
    fn told_after_login(&mut self, connection: u64) -> Vec<String> {
        self.input(Input::Connected {
            connection: ConnectionId(connection),
            mode: OfflineMode::Unread,
        });
        let body = SessionCommand {
            last_patch_time: Some(1),
            config_bitmap: Some(1),
            ..SessionCommand::default()
        };
        let mut envelope = Envelope::new(Command::session(Op::Open, body));
        envelope.app_id = Some("myApp".to_owned());
        self.receive(
            connection,
            envelope.with_peer("Jerry").with_serial(Serial(1)),
        );
        while self.core.is_busy(ConnectionId(connection)) {
            let time = Now {
                elapsed: self.at,
                wall: Timestamp::from_millis(i64::try_from(self.at.as_millis()).unwrap()),
            };
            let effects = now(self.core.go_on(time, ConnectionId(connection)));
            self.take(effects);
        }
        let sent = std::mem::take(&mut self.sent).into_iter();
        let heard = sent.filter(|(to, _)| *to == connection);
        let patches = heard.filter_map(|(_, envelope)| match envelope.command {
            Command::Patch { body, .. } => Some(body.patches),
            _ => None,
        });
        patches.flatten().filter_map(|item| item.mid).collect()
    }
}

#[test]
fn more_edits_of_one_conversation_than_a_round_reads_are_all_told() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let busy = world.start(1, with_members(&["Tom", "Jerry"]));
    let quiet = world.start(1, with_members(&["Tom", "Jerry", "Spike"]));
    let mut edited: Vec<_> = (0..250).map(|_| world.say_and_edit(1, &busy, 9)).collect();
    // A newer one elsewhere is not told before the older ones.
    edited.push(world.say_and_edit(1, &quiet, 9));
    assert_eq!(world.told_after_login(2), edited);
}

#[test]
fn more_edits_than_a_round_tells_are_told_in_their_order() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let start =
        |world: &mut World, name: &str| world.start(1, with_members(&["Tom", "Jerry", name]));
    let names = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o",
    ];
    let all: Vec<_> = names.iter().map(|name| start(&mut world, name)).collect();
    let mut edited = Vec::new();
    for _ in 0..80 {
        for cid in &all {
            edited.push(world.say_and_edit(1, cid, 9));
        }
    }
    assert_eq!(world.told_after_login(2), edited, "{} edits", edited.len());
}

#[test]
fn edits_of_many_bytes_are_told_in_several_rounds() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    let cids: Vec<_> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|name| world.start(1, with_members(&["Tom", "Jerry", name])))
        .collect();
    let mut edited = Vec::new();
    for _ in 0..60 {
        for cid in &cids {
            edited.push(world.say_and_edit(1, cid, 4_500));
        }
    }
    assert_eq!(world.told_after_login(2), edited);
}
