//! The notifications that a client missed, which the service tells over its REST interface.

use std::time::Duration;

use tokio::time::timeout;

use super::uploads::FileService;
use crate::model::{ClientId, Timestamp};
use crate::sync::MissedQuestion;
use crate::wire::Envelope;
use crate::wire::notification::{Missed, missed_path};

/// The most answers that are asked for: what they don't hold is told without names.
const PAGES_MAX: usize = 20;

/// How long the answers may take together: notices of what a comparison of members shows wait for them.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Asks for what a client missed. Answers as much as the service told in time.
pub(super) async fn ask(
    service: FileService,
    client: ClientId,
    question: MissedQuestion,
) -> Vec<Envelope> {
    let mut told = Vec::new();
    let all = pages(&service, &client, &question, &mut told);
    if timeout(ANSWERED_WITHIN, all).await.is_err() {
        log::debug!("the service did not tell in time all that was missed");
    }
    told
}

async fn pages(
    service: &FileService,
    client: &ClientId,
    question: &MissedQuestion,
    told: &mut Vec<Envelope>,
) {
    let mut since = question.since;
    for _ in 0..PAGES_MAX {
        let path = missed_path(client, since);
        let Ok((200..=299, body)) = service.get(&path, &question.token).await else {
            return;
        };
        let Ok(missed) = Missed::decode(&body) else {
            return;
        };
        let newest: Option<Timestamp> = missed.permanent.iter().filter_map(|it| it.server_ts).max();
        told.extend(missed.permanent);
        match newest {
            // An answer that leads no further would be asked for again and again.
            Some(newest) if missed.has_more && newest > since => since = newest,
            _ => return,
        }
    }
}
