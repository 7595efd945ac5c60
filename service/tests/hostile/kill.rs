//! The real program is killed in the middle of its work: every acknowledged message is there afterwards.

use std::collections::BTreeSet;

use sampan::wire::Command;
use sampan::wire::generated::LogsCommand;

use crate::program::Program;
use crate::raw::{Incoming, RawClient, message};

/// How often the program is killed.
const KILLS: usize = 5;

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_message_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<String> = Vec::new();
    let mut chat = None;
    for round in 0..KILLS {
        let mut program = Program::start(folder.path());
        let mut tom = RawClient::open(program.address, "Tom").await;
        let id = tom.start(&["Tom", "Jerry"]).await;
        assert_eq!(
            chat.get_or_insert_with(|| id.clone()),
            &id,
            "a unique conversation was made twice"
        );
        assert_eq!(
            missing(&mut tom, &id, &acknowledged).await,
            Vec::<String>::new()
        );

        // A window of messages is under way all the time, also at the moment of the kill.
        let wanted = acknowledged.len() + 40 + 13 * round;
        for number in 0..200 {
            tom.send(message(&id, &format!("round {round} number {number}")))
                .await;
        }
        while acknowledged.len() < wanted {
            match tom.read().await {
                Incoming::Command(envelope) => acknowledged.extend(accepted(&envelope.command)),
                Incoming::Closed(code) => panic!("closed with {code:?} before the kill"),
            }
        }
        program.kill();
        // A message that was acknowledged before the kill, with the acknowledgement still unread, counts as
        // well.
        while let Incoming::Command(envelope) = tom.read().await {
            acknowledged.extend(accepted(&envelope.command));
        }
    }
    let program = Program::start(folder.path());
    let mut jerry = RawClient::open(program.address, "Jerry").await;
    let id = chat.unwrap();
    assert_eq!(
        missing(&mut jerry, &id, &acknowledged).await,
        Vec::<String>::new()
    );
}

fn accepted(command: &Command) -> Option<String> {
    match command {
        Command::Ack(ack) => ack.uid.clone().filter(|_| ack.code.is_none()),
        _ => None,
    }
}

/// The acknowledged messages that are not in the history.
async fn missing(
    client: &mut RawClient,
    conversation: &str,
    acknowledged: &[String],
) -> Vec<String> {
    let mut history = BTreeSet::new();
    let mut oldest: (Option<i64>, Option<String>) = (None, None);
    loop {
        let logs = LogsCommand {
            cid: Some(conversation.to_owned()),
            t: oldest.0,
            mid: oldest.1.take(),
            l: Some(100),
            ..LogsCommand::default()
        };
        let Command::Logs(page) = client.request(Command::logs(logs)).await else {
            panic!("there is no history")
        };
        let known = history.len();
        history.extend(page.logs.iter().filter_map(|item| item.msg_id.clone()));
        if history.len() == known {
            break;
        }
        let first = page.logs.iter().min_by_key(|item| item.timestamp);
        oldest = (
            first.and_then(|item| item.timestamp),
            first.and_then(|item| item.msg_id.clone()),
        );
    }
    acknowledged
        .iter()
        .filter(|id| !history.contains(*id))
        .cloned()
        .collect()
}
