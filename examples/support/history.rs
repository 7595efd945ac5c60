//! Real history, and how it is played into a service as its real authors.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt, TryStreamExt, stream};
use sampan::model::{AppId, ClientId, ConversationId};
use serde::Deserialize;

use super::Outcome;
use super::raw::{Posted, RawConnection};

/// The number of identities that share one connection.
const CLIENTS_PER_CONNECTION: usize = 32;

/// The number of conversations that are played at a time; each is played in order.
const CONVERSATIONS_AT_A_TIME: usize = 192;

/// The most messages of one conversation that may be on their way at a time.
const MESSAGES_ON_THE_WAY: usize = 32;

/// One recorded conversation.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    /// The participants.
    pub(crate) members: Vec<String>,
    /// Time in milliseconds, index of the author, text; in order.
    pub(crate) messages: Vec<(i64, usize, String)>,
}

impl Recorded {
    /// The members as client ids.
    pub(crate) fn clients(&self) -> Outcome<Vec<ClientId>> {
        let ids = self.members.iter().map(ClientId::new);
        Ok(ids.collect::<Result<_, _>>()?)
    }
}

/// Reads recorded conversations, one a line; a file that ends in `.gz` is unpacked on the way.
pub(crate) fn read(path: &Path, limit: usize) -> Outcome<Vec<Recorded>> {
    let file = std::fs::File::open(path)?;
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if packed {
        Box::new(flate2::read::GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut conversations = Vec::new();
    for line in BufReader::new(reader).lines().take(limit) {
        conversations.push(serde_json::from_str(&line?)?);
    }
    Ok(conversations)
}

/// The service with every author signed in.
pub(crate) struct Stage {
    connections: Vec<Arc<RawConnection>>,
    places: BTreeMap<ClientId, usize>,
}

impl Stage {
    /// Signs in everybody who wrote something.
    pub(crate) async fn set(url: &str, app: &AppId, conversations: &[Recorded]) -> Outcome<Self> {
        let mut authors = BTreeSet::new();
        for conversation in conversations {
            authors.extend(conversation.clients()?);
        }
        let authors: Vec<_> = authors.into_iter().collect();
        let mut stage = Self {
            connections: Vec::new(),
            places: BTreeMap::new(),
        };
        for group in authors.chunks(CLIENTS_PER_CONNECTION) {
            let mut connection = RawConnection::open(url, app.clone()).await?;
            stream::iter(group.iter().map(|author| connection.sign_in(author)))
                .buffer_unordered(CLIENTS_PER_CONNECTION)
                .try_collect::<Vec<()>>()
                .await?;
            for author in group {
                stage.places.insert(author.clone(), stage.connections.len());
            }
            // Nobody listens here to the messages of the others.
            connection.notifications.close();
            stage.connections.push(Arc::new(connection));
        }
        Ok(stage)
    }

    /// The number of authors.
    pub(crate) fn authors(&self) -> usize {
        self.places.len()
    }

    /// Plays conversations, many at a time, each in its own order; `played` counts the messages.
    pub(crate) async fn play(
        &self,
        conversations: &[Recorded],
        played: &AtomicU64,
    ) -> Outcome<Vec<ConversationId>> {
        let plays = conversations
            .iter()
            .map(|recorded| self.play_one(recorded, played));
        stream::iter(plays)
            .buffered(CONVERSATIONS_AT_A_TIME)
            .try_collect()
            .await
    }

    async fn play_one(&self, recorded: &Recorded, played: &AtomicU64) -> Outcome<ConversationId> {
        let members = recorded.clients()?;
        let creator = members.first().ok_or("a conversation without members")?;
        let name = members
            .iter()
            .map(super::show::name)
            .collect::<Vec<_>>()
            .join(" & ");
        let started = self
            .of(creator)?
            .start_conversation(creator, &members, &name);
        let conversation = started.await?;
        let mut on_the_way = Vec::new();
        let mut last_place = None;
        for (_, author, text) in &recorded.messages {
            let author = members.get(*author).ok_or("a message without an author")?;
            let place = self.places.get(author);
            // Order holds on one connection only: before another one goes on, the first one's are waited for.
            if place != last_place || on_the_way.len() >= MESSAGES_ON_THE_WAY {
                arrived(&mut on_the_way, played).await?;
                last_place = place;
            }
            let connection = self.of(author)?;
            on_the_way.push(connection.post_text(author, &conversation, text).await?);
        }
        arrived(&mut on_the_way, played).await?;
        Ok(conversation)
    }

    fn of(&self, client: &ClientId) -> Outcome<&RawConnection> {
        let place = self
            .places
            .get(client)
            .ok_or("an author who is not signed in")?;
        let connection = self.connections.get(*place).ok_or("no such connection")?;
        Ok(connection)
    }
}

/// Waits until the service has all of these messages.
async fn arrived(on_the_way: &mut Vec<Posted>, played: &AtomicU64) -> Outcome<()> {
    for posted in on_the_way.drain(..) {
        posted.acknowledged().await?;
        played.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
