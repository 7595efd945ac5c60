//! Each command of the schema is answered at once: by its reply, by a typed error, or by the silence that
//! the protocol has for it. An SDK that waits for an answer that never comes waits for 10 to 30 seconds.

use sampan::wire::generated::{BlacklistCommand, PatchCommand};

use super::*;

/// Every command with every operation of the schema.
pub(super) fn every_command() -> Vec<Command> {
    let ops: Vec<Op> = (0..=300)
        .filter_map(|number| Op::try_from(number).ok())
        .collect();
    let mut commands = vec![
        Command::direct(DirectCommand::default()),
        Command::ack(AckCommand::default()),
        Command::Rcp(Default::default()),
        Command::Unread(Default::default()),
        Command::logs(LogsCommand::default()),
        Command::Error(Default::default()),
        Command::Login(Box::default()),
        Command::Loggedin(Default::default()),
        Command::Data(Default::default()),
        Command::Read(ReadCommand::default()),
        Command::Presence(Default::default()),
        Command::Echo,
        Command::Logout,
        Command::Loggedout,
        Command::Pubsub(Box::default()),
        Command::Goaway,
    ];
    for op in ops {
        commands.extend([
            Command::session(op, SessionCommand::default()),
            Command::conv(op, ConvCommand::default()),
            Command::blacklist(op, BlacklistCommand::default()),
            Command::patch(op, PatchCommand::default()),
            Command::Room {
                op,
                body: Box::default(),
            },
            Command::Report {
                op,
                body: Default::default(),
            },
        ]);
    }
    commands
}

/// Asks with a command; answers the command that came back with its number.
fn answers(world: &mut World, command: &Command) -> Vec<Command> {
    world.sent.clear();
    world.receive(1, Envelope::new(command.clone()).with_serial(Serial(-9)));
    let of_request = |(to, it): &(u64, Envelope)| *to == 1 && it.serial == Some(Serial(-9));
    let sent = std::mem::take(&mut world.sent);
    let sent = sent.into_iter().filter(of_request);
    sent.map(|(_, it)| it.command).collect()
}

#[test]
fn each_command_with_a_number_is_answered_once_and_only_receipts_of_clients_are_not() {
    for is_signed_in in [true, false] {
        for command in every_command() {
            let mut world = World::with("{}");
            match is_signed_in {
                true => world.open(1, "Tom", OfflineMode::Unread),
                false => {
                    world.input(Input::Connected {
                        connection: ConnectionId(1),
                        mode: OfflineMode::Unread,
                    });
                }
            }
            // Acknowledgements of push name no conversation and need no session.
            let is_silent = match command {
                Command::Ack(_) => true,
                Command::Read(_) => is_signed_in,
                _ => false,
            };
            let came = answers(&mut world, &command);
            assert_eq!(came.len(), usize::from(!is_silent), "{command:?}: {came:?}");
            if let Some(Command::Error(error)) = came.first() {
                assert!(error.code >= 4100, "{command:?}: {error:?}");
            }
        }
    }
}

/// A command that only a service sends is not answered where nobody waits: two services that were connected by
/// mistake would answer each other for ever.
#[test]
fn what_only_a_service_says_is_not_answered_without_a_number() {
    let mut world = World::with("{}");
    world.open(1, "Tom", OfflineMode::Unread);
    for command in [
        Command::Error(Default::default()),
        Command::Loggedin(Default::default()),
        Command::Loggedout,
        Command::Goaway,
        Command::Data(Default::default()),
        Command::Rcp(Default::default()),
        Command::Unread(Default::default()),
        Command::Presence(Default::default()),
    ] {
        world.sent.clear();
        world.receive(1, Envelope::new(command.clone()));
        assert!(world.sent.is_empty(), "{command:?}: {:?}", world.sent);
    }
}

/// A login with a number, as the live-query client sends it, and one without, as the Java SDK does.
#[test]
fn a_device_that_waits_for_its_login_is_answered_and_one_that_does_not_is_not() {
    for (app, serial, answer) in [
        ("myApp", Some(Serial(3)), Some(0)),
        ("myApp", None, None),
        ("another", Some(Serial(3)), Some(4100)),
        ("another", None, None),
    ] {
        let mut world = World::with("{}");
        world.input(Input::Connected {
            connection: ConnectionId(1),
            mode: OfflineMode::Unread,
        });
        let mut login = Envelope::new(Command::Login(Box::default()));
        login.app_id = Some(app.to_owned());
        login.installation_id = Some("browser".to_owned());
        login.service = Some(Envelope::SERVICE_LIVE_QUERY);
        login.serial = serial;
        world.receive(1, login);
        let came: Vec<i32> = world
            .sent
            .iter()
            .map(|(_, it)| match &it.command {
                Command::Error(error) => error.code,
                Command::Loggedin(_) => {
                    let installation = it.installation_id.as_deref();
                    assert_eq!((it.service, installation), (Some(1), Some("browser")));
                    0
                }
                other => panic!("not an answer to a login: {other:?}"),
            })
            .collect();
        assert_eq!(came, Vec::from_iter(answer), "{app} {serial:?}");
        let named = world.core.is_signed_in(ConnectionId(1));
        assert_eq!(named, app == "myApp", "the app of the connection is known");
    }
}

#[test]
fn who_has_no_right_to_a_list_is_refused_as_a_whole_and_not_by_a_reply_with_failures() {
    let mut world = World::with("{}");
    for (connection, client) in (1..).zip(["owner", "manager", "member"]) {
        world.open(connection, client, OfflineMode::Unread);
    }
    let cid = world.start(1, with_members(&["owner", "manager", "member"]));
    let info = sampan::wire::generated::ConvMemberInfo {
        pid: Some("manager".to_owned()),
        role: Some("Manager".to_owned()),
        info_id: None,
    };
    let promotion = ConvCommand {
        target_client_id: Some("manager".to_owned()),
        info: Some(info),
        ..about(&cid, &[])
    };
    world.ask(1, Command::conv(Op::MemberInfoUpdate, promotion));
    let ban = |op, clients: &[&str]| {
        Command::blacklist(
            op,
            BlacklistCommand {
                src_cid: Some(cid.clone()),
                to_pids: clients.iter().map(|&it| it.to_owned()).collect(),
                ..BlacklistCommand::default()
            },
        )
    };
    let silence = |op, clients: &[&str]| Command::conv(op, about(&cid, clients));
    let mut refused = |connection, command: Command| match world.ask(connection, command) {
        Command::Error(error) => Some(error.code),
        _ => None,
    };
    for (list, put, take) in [
        (
            &ban as &dyn Fn(Op, &[&str]) -> Command,
            Op::Block,
            Op::Unblock,
        ),
        (&silence, Op::AddShutup, Op::RemoveShutup),
    ] {
        for op in [put, take] {
            assert_eq!(refused(3, list(op, &["manager"])), Some(4320), "a member");
            assert_eq!(refused(2, list(op, &["manager"])), Some(4320), "oneself");
        }
        assert_eq!(
            refused(2, list(put, &["owner"])),
            Some(4320),
            "who is above"
        );
        // Of several targets, some of which it works for, each that it does not work for is named.
        assert_eq!(refused(2, list(put, &["owner", "guest"])), None);
    }
}
