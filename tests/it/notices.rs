//! Waiting for the notices of a session, which peers and rooms tell alike.

use sampan::{NoticeFeed, SessionNotice};

use crate::place::in_time;

/// Waits for the first notice that `pick` makes something of.
pub(crate) async fn told<T>(
    feed: &NoticeFeed,
    what: &str,
    mut pick: impl FnMut(SessionNotice) -> Option<T>,
) -> T {
    let told = async {
        loop {
            let notice = feed.next().await.unwrap().expect("the engine runs");
            if let Some(found) = pick(notice) {
                return found;
            }
        }
    };
    in_time(what, told).await
}

/// Waits for a notice.
pub(crate) async fn hears(feed: &NoticeFeed, wanted: &SessionNotice) {
    told(feed, &format!("{wanted:?}"), |notice| {
        (notice == *wanted).then_some(())
    })
    .await;
}
