//! The deletion of messages that are older than their app's retention.
//!
//! A pass goes through all conversations of the apps that limit retention, in small steps, so no client waits
//! long for the core; then there is a rest until the next pass. Without such an app there is no pass.

use std::time::Duration;

use sampan::model::{AppId, ConversationId, Now, Timestamp};

use crate::core::machine::Core;
use crate::core::state::upkeep::RetentionPass;
use crate::storage::{Edge, Kind, Order, Span, Storage, StorageError, Write};

/// From the end of a pass to the next: retention is counted in days.
const REST: Duration = Duration::from_secs(3600);

/// From one step of a pass to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// Conversations that one step looks at.
const CONVERSATIONS_A_STEP: usize = 200;

/// Messages that one step forgets: at one step a second, more than a busy service takes in.
const MESSAGES_A_STEP: usize = 2000;

impl RetentionPass {
    /// Goes on with the next app; after the last one the pass is over.
    fn next_app(&mut self, elapsed: Duration) {
        self.after = None;
        self.app += 1;
        if self.app >= self.apps.len() {
            self.app = 0;
            self.due = elapsed.saturating_add(REST);
        }
    }
}

impl<S: Storage> Core<S> {
    /// Takes a step, if one is due.
    pub(in crate::core) async fn forget_old(&mut self, now: Now) -> Result<(), StorageError> {
        if self.retention.due().is_none_or(|due| due > now.elapsed) {
            return Ok(());
        }
        let Some((app, kept)) = self.retention.apps.get(self.retention.app).cloned() else {
            return Ok(());
        };
        self.retention.due = now.elapsed.saturating_add(PAUSE);
        let after = self.retention.after.clone();
        let conversations = self
            .storage
            .conversations(&app, after.as_ref(), CONVERSATIONS_A_STEP)
            .await?;
        let is_end = conversations.len() < CONVERSATIONS_A_STEP;
        let proven = self.stamps.proven();
        let mut left = MESSAGES_A_STEP;
        for conversation in conversations {
            let kept = match conversation.kind {
                Kind::Room => kept.in_rooms,
                Kind::Normal | Kind::Temporary | Kind::System => kept.elsewhere,
            };
            if let Some(kept) = kept {
                let until = cut(proven, kept);
                left -= self.forget_in(&app, &conversation.id, until, left).await?;
            }
            if left == 0 {
                // There may be more here: the next step begins with this conversation again.
                return Ok(());
            }
            self.retention.after = Some(conversation.id);
        }
        if is_end {
            self.retention.next_app(now.elapsed);
        }
        Ok(())
    }

    /// Forgets the oldest messages of a conversation; answers how many there were.
    pub(in crate::core) async fn forget_in(
        &mut self,
        app: &AppId,
        conversation: &ConversationId,
        until: Timestamp,
        limit: usize,
    ) -> Result<usize, StorageError> {
        let newer = Some(Edge {
            at: until,
            id: None,
            included: false,
        });
        let span = Span { older: None, newer };
        let old = self
            .storage
            .messages(app, conversation, &span, Order::OldestFirst, limit)
            .await?;
        let found = old.len();
        debug_assert!(found <= limit, "{found} messages of at most {limit}");
        let writes = old
            .iter()
            .map(|message| Write::DropMessage(app.clone(), conversation.clone(), message.place()));
        self.storage.apply(writes.collect()).await?;
        Ok(found)
    }
}

/// Messages before this time are older than `kept`.
fn cut(wall: Timestamp, kept: Duration) -> Timestamp {
    let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(wall.as_millis().saturating_sub(kept))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::core::apps::app::{Apps, Credentials};
    use crate::core::apps::settings;
    use crate::core::state::entropy::Entropy;
    use crate::storage::{Body, Conversation, MemoryStorage, Message};

    const DAY_MS: i64 = 86_400_000;

    /// No id and no token is made here.
    struct NoEntropy;

    impl Entropy for NoEntropy {
        fn fill(&mut self, _: &mut [u8]) {}
    }

    /// Runs a future over the storage in memory, which never waits.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the storage in memory waits for nobody"),
        }
    }

    fn core(settings: &str) -> Core<MemoryStorage> {
        let credentials: Credentials = "app:key:master".parse().unwrap();
        let settings: BTreeMap<_, _> = settings::parse_file(settings).unwrap();
        let apps = Apps::new([credentials], settings).unwrap();
        Core::new(MemoryStorage::empty().unwrap(), apps, Box::new(NoEntropy))
    }

    fn id(number: usize) -> ConversationId {
        ConversationId::new(format!("{number:024}")).unwrap()
    }

    fn app() -> AppId {
        AppId::new("app").unwrap()
    }

    fn put(core: &mut Core<MemoryStorage>, number: usize, times: impl Iterator<Item = i64>) {
        let tom = sampan::model::ClientId::new("Tom").unwrap();
        let conversation = Conversation {
            id: id(number),
            kind: Kind::Normal,
            creator: tom.clone(),
            columns: serde_json::Map::new(),
            unique_id: None,
            created_at: Timestamp::ZERO,
            updated_at: Timestamp::ZERO,
            expires_at: None,
        };
        let mut writes = vec![Write::PutConversation(app(), conversation)];
        writes.extend(times.map(|time| {
            let message = Message {
                id: sampan::model::MessageId::new(format!("m{time}")).unwrap(),
                sent_at: Timestamp::from_millis(time),
                from: tom.clone(),
                body: Body::Text("hello".to_owned()),
                wants_receipt: false,
                mention_all: false,
                mentions: Vec::new(),
                patched_at: Some(Timestamp::from_millis(time + 1)),
                recalled: false,
                delivered_at: None,
                read_at: None,
                token: Some(format!("t{time}")),
                only_for: Vec::new(),
            };
            Write::PutMessage(app(), id(number), message)
        }));
        ready(core.storage.apply(writes)).unwrap();
    }

    fn count(core: &Core<MemoryStorage>, number: usize) -> usize {
        let (app, id, all) = (app(), id(number), Span::default());
        let storage = &core.storage;
        let found = storage.messages(&app, &id, &all, Order::OldestFirst, 10_000);
        ready(found).unwrap().len()
    }

    /// Steps until the pass rests; answers how many steps it took.
    fn pass(core: &mut Core<MemoryStorage>, wall: i64) -> usize {
        let mut elapsed = core.retention.due().unwrap();
        for step in 1.. {
            let wall = Timestamp::from_millis(wall);
            core.stamps.read(Now { elapsed, wall });
            ready(core.forget_old(Now { elapsed, wall })).unwrap();
            let due = core.retention.due().unwrap();
            if due >= elapsed + REST {
                return step;
            }
            elapsed = due;
        }
        0
    }

    const ONE_DAY: &str = r#"{"app": {"retention": {"messages_days": 1}}}"#;

    #[test]
    fn messages_older_than_wanted_are_forgotten_and_younger_ones_stay() {
        let mut core = core(ONE_DAY);
        put(
            &mut core,
            1,
            [1, DAY_MS - 1, DAY_MS, DAY_MS + 5].into_iter(),
        );
        pass(&mut core, 2 * DAY_MS);
        assert_eq!(count(&core, 1), 2);
        let tom = sampan::model::ClientId::new("Tom").unwrap();
        let (app, id) = (app(), id(1));
        assert_eq!(
            ready(core.storage.sent_with(&app, &id, &tom, "t1")).unwrap(),
            None
        );
        let patched = ready(core.storage.patched_since(&app, &id, Timestamp::ZERO, 10)).unwrap();
        assert_eq!(patched.len(), 2);
    }

    #[test]
    fn a_pass_reaches_every_conversation_however_many_messages_are_old() {
        let mut core = core(ONE_DAY);
        for number in 0..CONVERSATIONS_A_STEP + 5 {
            put(&mut core, number, 1..3);
        }
        put(&mut core, 3, 1..2 * MESSAGES_A_STEP as i64 + 2);
        let steps = pass(&mut core, 2 * DAY_MS);
        for number in 0..CONVERSATIONS_A_STEP + 5 {
            assert_eq!(count(&core, number), 0);
        }
        assert!((3..10).contains(&steps), "{steps} steps");
        assert_eq!(pass(&mut core, 2 * DAY_MS), 2);
    }

    #[test]
    fn without_a_limit_nothing_is_forgotten_and_nobody_is_woken() {
        let mut core = core("{}");
        put(&mut core, 1, 1..5);
        assert_eq!(core.retention.due(), None);
        let now = Now {
            elapsed: REST * 2,
            wall: Timestamp::from_millis(i64::MAX),
        };
        ready(core.forget_old(now)).unwrap();
        assert_eq!(count(&core, 1), 4);
    }
}
