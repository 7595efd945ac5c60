//! Every kind of write against a service that forgets the tokens of messages after a minute, as hosted ones do.

use std::time::Duration;

use sampan::ServerAddress;
use sampan::model::{OutboxEntry, OutboxState};

use crate::cable::Cable;
use crate::place::{Device, config, in_time};
use crate::writes::Written;

/// The service forgets the token of a message after a minute.
const FORGETFUL: &str = r#"{"retention": {"message_tokens_secs": 60}}"#;

/// The time that goes by at the service while the connection is broken.
const AWAY: Duration = Duration::from_secs(90);

/// Bytes by which each connection hears more than the one before it: about four answers.
const HEARS_MORE: u64 = 1_000;

/// Connections whose answers are lost from some byte on.
const BROKEN: u64 = 16;

/// S183, S362, D01: answers are lost at another point of each connection, and by the next one the service has
/// forgotten the tokens: each effect is there once and in order all the same, and nothing is left over.
#[tokio::test]
async fn where_the_service_forgets_tokens_every_kind_of_write_is_done_once_though_answers_are_lost()
{
    let written = Written::offline_and_killed(FORGETFUL).await;
    let cable = Cable::lay(None).await;
    cable.plug_into(written.service().addr());
    let url = format!("http://{}", cable.addr);
    let mut near = config(ServerAddress::Router { url }, &written.store());
    near.limits.token_memory = Some(Duration::from_secs(60));
    near.limits.backoff_first = Duration::from_millis(10);
    near.limits.backoff_max = Duration::from_millis(20);
    // Sixteen sign-ins within a minute take more than a device's pace allows.
    near.limits.history_per_minute = u32::MAX;
    near.limits.others_per_minute = u32::MAX;
    near.limits.sends_per_minute = u32::MAX;
    let ann = Device::open(near, "ann").await;
    let mut lost = 0;
    for round in 0..BROKEN {
        cable.deafen_after(round * HEARS_MORE);
        match round {
            0 => ann.client.go_online(None).unwrap(),
            _ => cable.mend(),
        }
        // The connection falls silent, or there is nothing left to say on it.
        let is_over = ann.until("an outbox in which nothing waits", || async {
            let outbox = ann.client.outbox().await.ok()?;
            outbox.iter().all(has_failed).then_some(())
        });
        tokio::select! {
            () = cable.swallows() => {}
            () = is_over => {}
        }
        // All that the service heard before this is done when this is.
        let talk = written.ben.talk_to("eve").await;
        let round = format!("round {round}");
        talk.send_text(round, None).await.unwrap();
        written.ben.has_sent_everything().await;
        lost += u64::from(cable.has_swallowed());
        cable.cut();
        in_time("broken connections", cable.is_idle()).await;
        written.service().set_clock_ahead(AWAY);
    }
    assert!(lost > 3, "answers were lost on {lost} connections");
    cable.hear_all();
    cable.mend();
    let online = ann.client.wait_online();
    in_time("an open session", online).await.unwrap();
    let left = ann.until("an outbox in which nothing waits", || async {
        let outbox = ann.client.outbox().await.ok()?;
        outbox.iter().all(has_failed).then_some(outbox)
    });
    assert_eq!(left.await, [], "each of them could be found out about");
    written.is_done_once_and_in_order(&ann).await;
}

fn has_failed(entry: &OutboxEntry) -> bool {
    matches!(entry.state, OutboxState::Failed { .. })
}
