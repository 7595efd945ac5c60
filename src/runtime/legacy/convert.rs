//! Turns a cache's content into values of the model, cut into parts of a commit each. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use md5::{Digest as _, Md5};
use sampan_legacy::{Cache, Kind, Mentions as Calls, Payload as Says};
use serde_json::{Map, Value};

use super::attach;
use super::report::{LegacyLeft, LegacyReason, LegacyReport};
use crate::model::{
    ClientId, ConversationId, ConversationInfo, Details, LocalId, Mentions, Message,
    MessageContent, MessageId, MessageState, Timestamp,
};
use crate::store::{ImportedMessage, Origin, Position, Span, Teller, Word};
use crate::sync::{LegacyConversation, LegacyDraft, LegacyPart};
use crate::wire::payload::Payload;
use crate::wire::row::WireConversation;
use crate::wire::{content, convert};

/// The most messages of a part: a commit of more keeps readers waiting.
const MESSAGES_MAX: usize = 500;

/// The most conversations, and the most runs, of a part.
const OTHERS_MAX: usize = 200;

/// The sender of a message whose sender no cache names.
const NOBODY: &str = "?";

/// Times before this one, the first of January 2011, are older than the service.
const OLDEST: Timestamp = Timestamp::from_millis(1_293_840_000_000);

const DAY_MS: i64 = 86_400_000;

/// The plan of an import: the cache's content in parts, the last one marked.
pub(super) struct Plan {
    pub(super) parts: Vec<LegacyPart>,
    /// The row of each draft, by its token.
    pub(super) drafts: BTreeMap<LocalId, LegacyLeft>,
    /// The file of each draft whose file was never uploaded.
    pub(super) files: BTreeMap<LocalId, PathBuf>,
    /// The number of messages and drafts in the parts.
    pub(super) items: u64,
}

const fn teller(kind: Kind) -> Teller {
    match kind {
        Kind::Java => Teller::Java,
        Kind::ObjectiveC => Teller::ObjectiveC,
        Kind::Swift => Teller::Swift,
    }
}

/// The conversations that a cache names, in any of its tables.
pub(super) fn named(cache: &Cache) -> BTreeSet<ConversationId> {
    let conversations = cache.conversations.iter().map(|it| it.id.as_str());
    let messages = cache.messages.iter().map(|it| it.conversation.as_str());
    let drafts = cache.drafts.iter().map(|it| it.conversation.as_str());
    let names: BTreeSet<&str> = conversations.chain(messages).chain(drafts).collect();
    names
        .into_iter()
        .filter_map(|name| ConversationId::new(name).ok())
        .collect()
}

/// Puts the taken items into parts, and the others into the report.
pub(super) fn plan(
    cache: Cache,
    kind: Kind,
    me: &ClientId,
    is_taken: &dyn Fn(&ConversationId) -> bool,
    report: &mut LegacyReport,
    now: Timestamp,
) -> Plan {
    let tables = Tables::of(kind);
    let teller = teller(kind);
    let sorter = Sorter { is_taken };
    let senders = senders(&cache);
    let mut conversations = Vec::new();
    let mut described = BTreeSet::new();
    for conversation in cache.conversations {
        let row = (tables.conversations, conversation.row);
        match sorter.sort(&conversation.id, None) {
            Ok(id) => {
                let observed = members(&senders, &id, me);
                described.insert(id.clone());
                let info = info_of(conversation, &id, me, observed);
                conversations.extend(info.map(|info| LegacyConversation {
                    info,
                    has_row: true,
                }));
            }
            Err(left) => report.left.push(left.at(row)),
        }
    }
    let mut messages = Vec::new();
    for message in cache.messages {
        let row = (tables.messages, message.row);
        let id = message.place.id.clone();
        let known = sorter.sort(&message.conversation, Some(&id));
        match known.and_then(|conversation| imported(message, conversation, teller, me)) {
            Ok(message) => messages.push(message),
            Err(left) => report.left.push(left.at(row)),
        }
    }
    let drafts = drafts_of(cache.drafts, kind, me, &sorter, &tables, report);
    for message in &messages {
        let id = &message.message.conversation;
        if described.insert(id.clone()) {
            let mut info = convert::conversation_info(bare_row(id), me);
            info.members = members(&senders, id, me);
            conversations.push(LegacyConversation {
                info,
                has_row: false,
            });
        }
    }
    let latest = Timestamp::from_millis(now.as_millis().saturating_add(DAY_MS));
    let odd = messages
        .iter()
        .filter(|it| it.message.sent_at < OLDEST || it.message.sent_at > latest);
    report.odd_times = u64::try_from(odd.count()).unwrap_or(u64::MAX);
    let runs = runs_of(cache.runs, &messages);
    let items = messages.len().saturating_add(drafts.drafts.len());
    Plan {
        parts: parts(teller, conversations, messages, runs, drafts.drafts),
        drafts: drafts.rows,
        files: drafts.files,
        items: u64::try_from(items).unwrap_or(u64::MAX),
    }
}

/// The tables whose rows are listed, by the SDK.
struct Tables {
    conversations: &'static str,
    messages: &'static str,
}

impl Tables {
    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Java => Self {
                conversations: "conversations",
                messages: "messages",
            },
            Kind::ObjectiveC | Kind::Swift => Self {
                conversations: "conversation",
                messages: "message",
            },
        }
    }
}

/// A row that is not taken, but for where it stands.
#[derive(Debug)]
struct Refused {
    conversation: Option<String>,
    message: Option<String>,
    reason: LegacyReason,
}

impl Refused {
    fn at(self, (table, row): (&str, i64)) -> LegacyLeft {
        LegacyLeft {
            table: table.to_owned(),
            row,
            conversation: self.conversation,
            message: self.message,
            reason: self.reason,
        }
    }
}

struct Sorter<'a> {
    is_taken: &'a dyn Fn(&ConversationId) -> bool,
}

impl Sorter<'_> {
    fn sort(&self, conversation: &str, message: Option<&str>) -> Result<ConversationId, Refused> {
        let refused = |reason| Refused {
            conversation: Some(conversation.to_owned()),
            message: message.map(str::to_owned),
            reason,
        };
        let id = ConversationId::new(conversation).map_err(|_| refused(LegacyReason::Malformed))?;
        if (self.is_taken)(&id) {
            Ok(id)
        } else {
            Err(refused(LegacyReason::UnknownConversation))
        }
    }
}

/// The senders in each conversation.
fn senders(cache: &Cache) -> BTreeMap<String, BTreeSet<String>> {
    let mut senders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for message in &cache.messages {
        if let Some(sender) = &message.sender {
            let known = senders.entry(message.conversation.clone()).or_default();
            known.insert(sender.clone());
        }
    }
    senders
}

/// The senders of messages and the owner of the cache: the members, as far as messages tell.
fn members(
    senders: &BTreeMap<String, BTreeSet<String>>,
    id: &ConversationId,
    me: &ClientId,
) -> Vec<ClientId> {
    let wrote = senders.get(id.as_str()).into_iter().flatten();
    let mut members: BTreeSet<ClientId> =
        wrote.filter_map(|name| ClientId::new(name).ok()).collect();
    members.insert(me.clone());
    members.into_iter().collect()
}

fn bare_row(id: &ConversationId) -> WireConversation {
    let kind = crate::store::ConversationRow::unknown(id.clone()).kind;
    WireConversation::new(id.clone(), kind)
}

/// A conversation as the cache knew it. Members that may be out of date are not taken over.
fn info_of(
    conversation: sampan_legacy::Conversation,
    id: &ConversationId,
    me: &ClientId,
    observed: Vec<ClientId>,
) -> Option<ConversationInfo> {
    let mut columns: Map<String, Value> = conversation.columns;
    columns.insert("objectId".to_owned(), id.as_str().into());
    let row = WireConversation::decode(Value::Object(columns)).ok()?;
    let has_members = row.members.is_some() && !conversation.is_outdated;
    let mut info = convert::conversation_info(row, me);
    if !has_members && info.kind == crate::model::ConversationKind::Normal {
        info.members = observed;
    }
    info.muted = conversation.muted.unwrap_or(info.muted);
    Some(info)
}

fn imported(
    message: sampan_legacy::Message,
    conversation: ConversationId,
    teller: Teller,
    me: &ClientId,
) -> Result<ImportedMessage, Refused> {
    let name = message.place.id.clone();
    let malformed = |_| Refused {
        conversation: Some(conversation.as_str().to_owned()),
        message: Some(name.clone()),
        reason: LegacyReason::Malformed,
    };
    let id = MessageId::new(&name).map_err(malformed)?;
    let sender = ClientId::new(message.sender.as_deref().unwrap_or(NOBODY)).map_err(malformed)?;
    let is_lost = message.payload.is_none() && !message.is_recalled;
    let mut said = match message.payload {
        Some(payload) => content_of(payload),
        None => MessageContent::Plain {
            text: String::new(),
        },
    };
    if message.is_recalled && !said.is_recalled() {
        said = MessageContent::Recalled {
            caption: None,
            details: Details::default(),
        };
    }
    let edited_at = message.edited_at.map(Timestamp::from_millis);
    let as_of = match edited_at {
        _ if is_lost => Word::LOST,
        None if said.is_recalled() => Word::FINAL,
        other => other.unwrap_or_default(),
    };
    let is_own = sender == *me;
    let mark = |at: Option<i64>| at.filter(|_| is_own).map(Timestamp::from_millis);
    let word = |as_of| Word { as_of, by: teller };
    Ok(ImportedMessage {
        origin: Origin {
            content: word(as_of),
            mentions: message
                .mentions
                .as_ref()
                .map(|_| word(edited_at.unwrap_or_default())),
            has_sender: message.sender.is_some(),
        },
        delivered_at: mark(message.delivered_at),
        read_at: mark(message.read_at),
        message: Message {
            conversation,
            id: Some(id),
            local_id: None,
            sender,
            sent_at: Timestamp::from_millis(message.place.at),
            content: said,
            mentions: mentions_of(message.mentions.unwrap_or_default()),
            state: MessageState::Sent,
            edited_at,
            change: None,
            transient: false,
        },
    })
}

fn content_of(payload: Says) -> MessageContent {
    content::decode(match payload {
        Says::Text(text) => Payload::Text(text),
        Says::Bytes(bytes) => Payload::Binary(bytes),
    })
}

fn mentions_of(calls: Calls) -> Mentions {
    let names = calls.clients.iter();
    Mentions {
        all: calls.all,
        clients: names.filter_map(|name| ClientId::new(name).ok()).collect(),
    }
}

/// Drafts, with the row and the file of each.
#[derive(Default)]
struct FoundDrafts {
    drafts: Vec<LegacyDraft>,
    rows: BTreeMap<LocalId, LegacyLeft>,
    files: BTreeMap<LocalId, PathBuf>,
}

fn drafts_of(
    drafts: Vec<sampan_legacy::Draft>,
    kind: Kind,
    me: &ClientId,
    sorter: &Sorter<'_>,
    tables: &Tables,
    report: &mut LegacyReport,
) -> FoundDrafts {
    let mut found = FoundDrafts::default();
    for draft in drafts {
        let row = (tables.messages, draft.row);
        let name = Some(draft.token.as_str());
        let conversation = match sorter.sort(&draft.conversation, name) {
            Ok(conversation) => conversation,
            Err(left) => {
                report.left.push(left.at(row));
                continue;
            }
        };
        let listed = Refused {
            conversation: Some(draft.conversation.clone()),
            message: Some(draft.token.clone()),
            reason: LegacyReason::OutboxFull,
        };
        let Ok(token) = LocalId::new(token_of(kind, me, &draft)) else {
            continue;
        };
        found.rows.insert(token.clone(), listed.at(row));
        let content = match attach::local_file(&draft.payload) {
            Some((path, content)) => {
                found.files.insert(token.clone(), path);
                content
            }
            None => content_of(draft.payload),
        };
        found.drafts.push(LegacyDraft {
            conversation,
            token,
            at: Timestamp::from_millis(draft.at),
            content,
            mentions: mentions_of(draft.mentions),
            upload: None,
            lost_file: None,
        });
    }
    found
}

/// The token of a message: the same each time the cache is read, and no other message has it.
fn token_of(kind: Kind, me: &ClientId, draft: &sampan_legacy::Draft) -> String {
    let mut hash = Md5::new();
    for part in [
        me.as_str(),
        draft.conversation.as_str(),
        draft.token.as_str(),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update([teller(kind).number()]);
    let digits: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("legacy-{digits}")
}

/// The runs whose ends are taken.
fn runs_of(
    runs: Vec<sampan_legacy::Run>,
    messages: &[ImportedMessage],
) -> Vec<(ConversationId, Span)> {
    let taken: BTreeSet<&ConversationId> =
        messages.iter().map(|it| &it.message.conversation).collect();
    let position = |place: sampan_legacy::Place| {
        Some(Position {
            sent_at: Timestamp::from_millis(place.at),
            id: MessageId::new(place.id).ok()?,
        })
    };
    let runs = runs.into_iter().filter_map(|run| {
        let conversation = ConversationId::new(run.conversation).ok()?;
        let span = Span {
            from: position(run.from)?,
            to: position(run.to)?,
        };
        taken
            .contains(&conversation)
            .then_some((conversation, span))
    });
    runs.collect()
}

/// Cuts all of it into parts of a commit each: conversations first, drafts last.
fn parts(
    teller: Teller,
    conversations: Vec<LegacyConversation>,
    messages: Vec<ImportedMessage>,
    runs: Vec<(ConversationId, Span)>,
    drafts: Vec<LegacyDraft>,
) -> Vec<LegacyPart> {
    let empty = || LegacyPart {
        teller,
        conversations: Vec::new(),
        messages: Vec::new(),
        runs: Vec::new(),
        drafts: Vec::new(),
        is_last: false,
    };
    let mut parts = Vec::new();
    parts.extend(
        cut(conversations, OTHERS_MAX).map(|conversations| LegacyPart {
            conversations,
            ..empty()
        }),
    );
    parts.extend(cut(messages, MESSAGES_MAX).map(|messages| LegacyPart {
        messages,
        ..empty()
    }));
    parts.extend(cut(runs, OTHERS_MAX).map(|runs| LegacyPart { runs, ..empty() }));
    parts.extend(cut(drafts, OTHERS_MAX).map(|drafts| LegacyPart { drafts, ..empty() }));
    parts.push(LegacyPart {
        is_last: true,
        ..empty()
    });
    parts
}

fn cut<T>(items: Vec<T>, most: usize) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || {
        let some: Vec<T> = items.by_ref().take(most).collect();
        (!some.is_empty()).then_some(some)
    })
}
