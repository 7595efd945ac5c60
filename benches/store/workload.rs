//! The messages and conversations that both stores are given: the same ones in every run.
//!
//! The made-up workload: batches of 100 messages over 50 of 1,000 conversations; every hundredth
//! batch goes to one long conversation instead, which has 10,000 messages after a million. A
//! message has 200 bytes: words drawn from 5,000 by Zipf's law, or random bytes. The real one:
//! recorded conversations, in the order of time, in batches of 100 as well.

use std::path::{Path, PathBuf};

use sampan::model::{
    ClientId, ConversationId, Mentions, Message, MessageContent, MessageId, MessageState, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::support::Outcome;
use crate::support::history::{self, Recorded};

/// The number of messages in a batch.
pub(crate) const BATCH: u64 = 100;

/// The place of the long conversation.
pub(crate) const LONG: usize = 0;

const CONVERSATIONS: usize = 1_000;
const CONVERSATIONS_A_BATCH: usize = 50;
const MEMBERS: usize = 5;
const WORDS: u32 = 5_000;
const TEXT_BYTES: usize = 200;
const FIRST_AT_MS: i64 = 1_700_000_000_000;

/// The text of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Text {
    /// Drawn words.
    Words,
    /// Random bytes, which nothing can compress.
    Random,
    /// Words that people wrote.
    Real,
}

/// A conversation that both stores begin with.
pub(crate) struct Begun {
    pub(crate) id: ConversationId,
    pub(crate) name: String,
    pub(crate) members: Vec<ClientId>,
}

/// A message, and the place of its conversation.
pub(crate) type Delivered = (usize, Message);

/// The source of conversations and batches.
pub(crate) struct Workload {
    source: Source,
    random: Random,
    next: u64,
    end: u64,
}

enum Source {
    Drawn { text: Text, words: Box<Words> },
    Real(Recording),
}

impl Workload {
    /// More words, behind the first `first` messages; without end.
    pub(crate) fn behind(first: u64) -> Outcome<Self> {
        let workload = Self::new(Text::Words, u64::MAX)?;
        Ok(Self {
            random: Random(first),
            next: first,
            ..workload
        })
    }

    /// A workload of `messages`; the real one has as many as were recorded, or `messages`.
    pub(crate) fn new(text: Text, messages: u64) -> Outcome<Self> {
        let source = match text {
            Text::Words | Text::Random => Source::Drawn {
                text,
                words: Box::new(Words::new()),
            },
            Text::Real => Source::Real(Recording::read(messages)?),
        };
        let end = match &source {
            Source::Drawn { .. } => messages,
            Source::Real(recording) => messages.min(recording.order.len() as u64),
        };
        Ok(Self {
            source,
            random: Random(11),
            next: 0,
            end,
        })
    }

    /// The conversations that the messages are in.
    pub(crate) fn conversations(&self) -> Outcome<Vec<Begun>> {
        match &self.source {
            Source::Drawn { .. } => (0..CONVERSATIONS).map(drawn_conversation).collect(),
            Source::Real(recording) => recording.conversations(),
        }
    }

    /// The number of messages that are left.
    pub(crate) fn left(&self) -> u64 {
        self.end - self.next
    }

    /// The next batch; empty when there is none left.
    pub(crate) fn batch(&mut self) -> Outcome<Vec<Delivered>> {
        let batch = self.next / BATCH;
        let end = self.next.saturating_add(BATCH).min(self.end);
        let numbers = self.next..end;
        self.next = end;
        numbers.map(|n| self.message(batch, n)).collect()
    }

    fn message(&mut self, batch: u64, n: u64) -> Outcome<Delivered> {
        let (place, sender, at_ms, content) = match &self.source {
            Source::Drawn { text, words } => {
                let place = drawn_place(usize::try_from(batch)?, usize::try_from(n % BATCH)?);
                let sender = member(place, self.random.below(MEMBERS as u32) as usize)?;
                let content = match text {
                    Text::Random => MessageContent::Binary {
                        data: self.random.bytes(TEXT_BYTES),
                    },
                    Text::Words | Text::Real => MessageContent::text(words.draw(&mut self.random)),
                };
                (place, sender, FIRST_AT_MS + i64::try_from(n)?, content)
            }
            Source::Real(recording) => recording.message(n)?,
        };
        let id = MessageId::new(self.random.id())?;
        Ok((place, message(sender, id, at_ms, content)?))
    }
}

fn message(
    sender: ClientId,
    id: MessageId,
    at_ms: i64,
    content: MessageContent,
) -> Outcome<Message> {
    Ok(Message {
        // The stores file a message under its conversation's number, not under this.
        conversation: ConversationId::new("c")?,
        id: Some(id),
        local_id: None,
        sender,
        sent_at: Timestamp::from_millis(at_ms),
        content,
        mentions: Mentions::default(),
        state: MessageState::Sent,
        edited_at: None,
        transient: false,
        change: None,
    })
}

fn drawn_conversation(place: usize) -> Outcome<Begun> {
    let members = (0..MEMBERS).map(|which| member(place, which));
    Ok(Begun {
        id: ConversationId::new(format!("{place:024x}"))?,
        name: format!("The conversation called {place}"),
        members: members.collect::<Outcome<_>>()?,
    })
}

fn member(place: usize, which: usize) -> Outcome<ClientId> {
    Ok(ClientId::new(format!(
        "member-{:05}",
        (place * 7 + which * 131) % 2_000
    ))?)
}

/// The conversation of a message: each batch goes to fifty others, spread over all.
fn drawn_place(batch: usize, index: usize) -> usize {
    if batch % 100 == 99 {
        return LONG;
    }
    let others = CONVERSATIONS - 1;
    1 + (batch * 37 + index % CONVERSATIONS_A_BATCH * 20) % others
}

/// Recorded conversations.
struct Recording {
    conversations: Vec<Recorded>,
    /// Time, conversation and message, in the order of time.
    order: Vec<(i64, usize, usize)>,
}

impl Recording {
    fn read(messages: u64) -> Outcome<Self> {
        let named = std::env::var_os("SAMPAN_HISTORY").map(PathBuf::from);
        let excerpt = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chitchat");
        let mut conversations = match &named {
            Some(file) => history::read(file, usize::MAX)?,
            None => history::read(&excerpt.join("excerpt.jsonl"), usize::MAX)?,
        };
        if named.is_none() {
            // The excerpt alone is smaller than what an empty database takes. No store compresses
            // across conversations, so copies under other ids cost what other ones would.
            let held: u64 = conversations
                .iter()
                .map(|it| it.messages.len() as u64)
                .sum();
            let copies = usize::try_from((messages / 4).div_ceil(held.max(1)))?;
            let all = conversations.len() * copies;
            conversations = conversations.into_iter().cycle().take(all).collect();
        }
        let mut order = Vec::new();
        for (place, recorded) in conversations.iter().enumerate() {
            let times = recorded.messages.iter().enumerate();
            order.extend(times.map(|(index, (at_ms, ..))| (*at_ms, place, index)));
        }
        order.sort_unstable();
        Ok(Self {
            conversations,
            order,
        })
    }

    fn conversations(&self) -> Outcome<Vec<Begun>> {
        let all = self.conversations.iter().enumerate();
        all.map(|(place, recorded)| {
            Ok(Begun {
                id: ConversationId::new(format!("{place:024x}"))?,
                name: format!("The conversation called {place}"),
                members: recorded.clients()?,
            })
        })
        .collect()
    }

    fn message(&self, n: u64) -> Outcome<(usize, ClientId, i64, MessageContent)> {
        let found = self.order.get(usize::try_from(n)?);
        let (at_ms, place, index) = *found.ok_or("more messages than were recorded")?;
        let recorded = self
            .conversations
            .get(place)
            .ok_or("no such conversation")?;
        let said = recorded.messages.get(index).ok_or("no such message")?;
        let author = recorded.members.get(said.1).ok_or("no such author")?;
        let content = MessageContent::text(said.2.clone());
        Ok((place, ClientId::new(author)?, at_ms, content))
    }
}

/// Five thousand made-up words, and how often each is said.
struct Words {
    words: Vec<String>,
    /// Up to where the draw of each word reaches.
    reach: Vec<f64>,
}

impl Words {
    fn new() -> Self {
        let mut random = Random(5);
        let letters = "etaoinshrdlucmfwypvbgkjqxz";
        let word = |_| {
            let length = 2 + random.below(8);
            let draw = (0..length).filter_map(|_| {
                let letter = random.below(26) as usize;
                letters.chars().nth(letter)
            });
            draw.collect()
        };
        let words = (0..WORDS).map(word).collect();
        let mut sum = 0.0;
        let mut reach = Vec::new();
        for rank in 1..=WORDS {
            sum += 1.0 / f64::from(rank);
            reach.push(sum);
        }
        Self { words, reach }
    }

    fn draw(&self, random: &mut Random) -> String {
        let all = self.reach.last().copied().unwrap_or_default();
        let mut text = String::with_capacity(TEXT_BYTES + 10);
        while text.len() < TEXT_BYTES - 5 {
            let drawn = f64::from(random.below(u32::MAX)) / f64::from(u32::MAX) * all;
            let at = self.reach.partition_point(|reach| *reach < drawn);
            text.push_str(self.words.get(at).map_or("", String::as_str));
            text.push(' ');
        }
        text
    }
}

/// The same numbers in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        sampan::splitmix::next(&mut self.0)
    }

    fn below(&mut self, end: u32) -> u32 {
        (((self.next() >> 32) * u64::from(end)) >> 32) as u32
    }

    fn bytes(&mut self, many: usize) -> Vec<u8> {
        let numbers = std::iter::repeat_with(|| self.next().to_le_bytes());
        numbers.flatten().take(many).collect()
    }

    /// An id as the service makes them: 16 random bytes as 22 characters.
    fn id(&mut self) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let draw = |_| char::from(DIGITS.get(self.below(64) as usize).copied().unwrap_or(b'-'));
        (0..22).map(draw).collect()
    }
}
