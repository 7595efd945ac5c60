//! Checks that the whole app's history is complete: some conversations are read by themselves, and their
//! messages must be in that history. Kinds of conversation that the history leaves out are read one by one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::CrawlError;
use super::progress::Progress;
use super::source::{Fetched, Source};
use crate::archive::{Archive, ArchiveError, CheckedKind, Content, PassKind, Readings, table_rows};
use crate::core::page;
use crate::core::page::Summary;
use crate::core::slice::{Request, Scope, Slice, encoded};

/// At least so many conversations of each kind are compared, if there are so many.
const COMPARED_MIN: usize = 20;

/// Histories in one slice: a batch is one file.
const BATCH: usize = 50;

/// Subscribers on a page; the interface allows no more.
const SUBSCRIBERS_PAGE: usize = 50;

/// The kinds of conversation that have endpoints of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Normal,
    Room,
    Service,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Normal, Self::Room, Self::Service];

    fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Room => "room",
            Self::Service => "service",
        }
    }
}

type ByKind = BTreeMap<Kind, Vec<String>>;

/// Begins the comparison: one pass of the conversations that are chosen. False when the archive has
/// no table of conversations to choose from.
pub(super) async fn begin_check(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    percent: f64,
    now: i64,
) -> Result<bool, CrawlError> {
    let chosen = chosen(&conversations(archive)?, percent);
    let mut scopes = Vec::new();
    for (kind, ids) in chosen {
        scopes.extend(scopes_of(archive, source, progress, kind, &ids).await?);
    }
    let (Some(newer), false) = (archive.manifest().covered_until(), scopes.is_empty()) else {
        return Ok(false);
    };
    begin_pass(archive, PassKind::Check, scopes, newer, now)?;
    Ok(true)
}

/// Compares the newest pass of the kind with the whole history, notes the result, and begins to read the kinds
/// that the whole history lacks.
pub(super) async fn finish_check(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    now: i64,
) -> Result<Vec<CheckedKind>, CrawlError> {
    let checks = archive.manifest().passes.iter().rev();
    let mut checks = checks.filter(|pass| pass.kind == PassKind::Check && pass.is_done);
    let Some(pass) = checks.next().map(|pass| pass.number) else {
        return Ok(Vec::new());
    };
    if archive
        .manifest()
        .checks
        .iter()
        .any(|check| check.pass == pass)
    {
        return Ok(Vec::new());
    }
    let found = compare(archive, pass)?;
    archive.change(|manifest| manifest.checks.extend(found.clone()))?;
    let ids = conversations(archive)?;
    let mut scopes = Vec::new();
    for (kind, check) in Kind::ALL.iter().zip(&found) {
        if check.missing > 0 {
            let ids = ids.get(kind).cloned().unwrap_or_default();
            scopes.extend(scopes_of(archive, source, progress, *kind, &ids).await?);
        }
    }
    if let (Some(newer), false) = (archive.manifest().covered_until(), scopes.is_empty()) {
        begin_pass(archive, PassKind::Rest, scopes, newer, now)?;
    }
    Ok(found)
}

fn begin_pass(
    archive: &mut Archive,
    kind: PassKind,
    scopes: Vec<Scope>,
    newer: i64,
    now: i64,
) -> Result<(), ArchiveError> {
    archive.change(|manifest| {
        let number = manifest.begin(kind, 0, newer, now);
        let slices = scopes.chunks(BATCH).map(|scopes| Slice {
            pass: number,
            scopes: scopes.to_vec(),
            older: 0,
            newer,
            cursor: None,
        });
        manifest.pending.extend(slices);
    })
}

/// The ids of the conversations that the archive knows, by kind.
fn conversations(archive: &Archive) -> Result<ByKind, ArchiveError> {
    #[derive(Deserialize)]
    struct Conversation {
        #[serde(rename = "objectId")]
        id: String,
        #[serde(default)]
        tr: Option<bool>,
        #[serde(default)]
        sys: Option<bool>,
    }
    let mut found: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    table_rows(
        archive.root(),
        archive.manifest(),
        "_Conversation",
        |row, _| {
            let Ok(row) = serde_json::from_str::<Conversation>(row) else {
                return;
            };
            let kind = match (row.sys, row.tr) {
                (Some(true), _) => Kind::Service,
                (_, Some(true)) => Kind::Room,
                _ => Kind::Normal,
            };
            found.entry(kind).or_default().insert(row.id);
        },
    )?;
    Ok(found
        .into_iter()
        .map(|(kind, ids)| (kind, ids.into_iter().collect()))
        .collect())
}

/// A share of each kind: the same conversations in each run.
fn chosen(all: &ByKind, percent: f64) -> ByKind {
    let share = |ids: &Vec<String>| {
        let mut ranked: Vec<([u8; 32], &String)> = ids
            .iter()
            .map(|id| (Sha256::digest(id.as_bytes()).into(), id))
            .collect();
        ranked.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a count"
        )]
        let wanted = (ids.len() as f64 * percent.clamp(0.0, 100.0) / 100.0).ceil() as usize;
        let wanted = if percent > 0.0 {
            wanted.max(COMPARED_MIN)
        } else {
            0
        };
        ranked
            .into_iter()
            .take(wanted)
            .map(|(_, id)| id.clone())
            .collect::<Vec<_>>()
    };
    all.iter().map(|(kind, ids)| (*kind, share(ids))).collect()
}

/// The histories of some conversations. A service conversation has one for each subscriber.
async fn scopes_of(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    kind: Kind,
    ids: &[String],
) -> Result<Vec<Scope>, CrawlError> {
    let mut scopes = Vec::new();
    for id in ids {
        let id = id.clone();
        match kind {
            Kind::Normal => scopes.push(Scope::Conversation { id }),
            Kind::Room => scopes.push(Scope::Room { id }),
            Kind::Service => {
                progress.step(&format!("subscribers of {id}"));
                for client in subscribers(archive, source, &id).await? {
                    scopes.push(Scope::Subscriber {
                        service: id.clone(),
                        client,
                    });
                }
            }
        }
    }
    Ok(scopes)
}

#[derive(Deserialize)]
struct Subscriber {
    subscriber: String,
}

/// The subscribers of a service conversation; the list is kept like a table.
async fn subscribers(
    archive: &mut Archive,
    source: &Source,
    id: &str,
) -> Result<Vec<String>, CrawlError> {
    let content = Content::Table {
        class: "subscribers".to_owned(),
        scan: 0,
    };
    let mut writer = archive.begin(content, None)?;
    let mut found: Vec<String> = Vec::new();
    loop {
        let mut query = vec![("limit".to_owned(), SUBSCRIBERS_PAGE.to_string())];
        query.extend(
            found
                .last()
                .map(|last| ("client_id".to_owned(), last.clone())),
        );
        let path = format!("/1.2/rtm/service-conversations/{}/subscribers", encoded(id));
        let read = |body: &str| {
            let rows = page::rows(body)?.into_iter();
            let rows = rows.filter_map(|row| serde_json::from_str::<Subscriber>(row.get()).ok());
            Ok(rows.map(|row| row.subscriber).collect::<Vec<_>>())
        };
        let Some(fetched) = source.page(&Request { path, query }, read).await? else {
            break;
        };
        let Fetched { page, read } = fetched;
        let is_new = read.last().is_some_and(|last| !found.contains(last));
        writer.append(
            page,
            &Summary {
                rows: read.len(),
                is_sorted: true,
                ..Summary::default()
            },
        )?;
        found.extend(read);
        if !is_new {
            break;
        }
    }
    archive.end(writer, None, None)?;
    let mut seen = BTreeSet::new();
    found.retain(|client| seen.insert(client.clone()));
    Ok(found)
}

/// Counts, for each kind, the messages that the conversations of a pass have and the whole has not.
fn compare(archive: &Archive, pass: u32) -> Result<Vec<CheckedKind>, ArchiveError> {
    let manifest = archive.manifest();
    let of_pass = |number: u32| {
        manifest
            .passes
            .iter()
            .find(|one| one.number == number)
            .map(|one| one.kind)
    };
    let kinds = kinds_by_id(archive)?;
    let mut single = BTreeMap::new();
    let mut conversations: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    let mut readings = Readings::new(archive.root(), manifest, |one| {
        one.slice.as_ref().is_some_and(|slice| slice.pass == pass)
    });
    while let Some(group) = readings.next_group()? {
        for row in group.into_iter().filter_map(|reading| reading.row.ok()) {
            let kind = kinds
                .get(&row.conversation)
                .copied()
                .unwrap_or(Kind::Normal);
            conversations
                .entry(kind)
                .or_default()
                .insert(row.conversation.clone());
            single.insert((row.conversation, row.id), kind);
        }
    }
    let mut totals: BTreeMap<Kind, u64> = BTreeMap::new();
    for kind in single.values() {
        *totals.entry(*kind).or_default() += 1;
    }
    let mut whole = Readings::new(archive.root(), manifest, |one| {
        let kind = one.slice.as_ref().and_then(|slice| of_pass(slice.pass));
        matches!(
            kind,
            Some(PassKind::History | PassKind::Again | PassKind::Tail)
        )
    });
    while let Some(group) = whole.next_group()? {
        for row in group.into_iter().filter_map(|reading| reading.row.ok()) {
            single.remove(&(row.conversation, row.id));
        }
    }
    let missing = |kind: Kind| single.values().filter(|one| **one == kind).count() as u64;
    Ok(Kind::ALL
        .iter()
        .map(|kind| CheckedKind {
            pass,
            kind: kind.name().to_owned(),
            conversations: conversations.get(kind).map_or(0, |ids| ids.len() as u64),
            messages: totals.get(kind).copied().unwrap_or(0),
            missing: missing(*kind),
        })
        .collect())
}

fn kinds_by_id(archive: &Archive) -> Result<BTreeMap<String, Kind>, ArchiveError> {
    let by_kind = conversations(archive)?.into_iter();
    Ok(by_kind
        .flat_map(|(kind, ids)| ids.into_iter().map(move |id| (id, kind)))
        .collect())
}
