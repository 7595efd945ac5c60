//! Tables: conversations, member infos, messages to service conversations, files. Each is read with a cursor
//! from its start to its end. A cursor lives for minutes only, so a table that was not finished is read again.

use serde::Deserialize;

use super::error::CrawlError;
use super::progress::Progress;
use super::source::{Fetched, Source};
use crate::archive::{Archive, Content, PAGES_MAX, TableScan};
use crate::clock::wall_millis;
use crate::core::page::{self, PageError, Summary};
use crate::core::slice::{Request, encoded};
use crate::http::Fatal;

/// A table that was read so lately is not read again, in milliseconds: a run that goes on after a
/// kill has it already.
const FRESH_MS: i64 = 6 * 60 * 60 * 1000;

/// The rows of a page.
const PAGE_ROWS: usize = 1000;

/// The facts of a page of a table that are needed to go on.
struct TablePage {
    rows: usize,
    cursor: Option<String>,
}

/// Reads the tables that are not fresh. Returns a note for each that could not be read.
pub(super) async fn read_tables(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    classes: &[String],
    is_forced: bool,
) -> Result<Vec<String>, CrawlError> {
    let mut notes = Vec::new();
    for class in classes {
        let fresh =
            |table: &TableScan| table.class == *class && wall_millis() - table.scan < FRESH_MS;
        if !is_forced && archive.manifest().tables.iter().any(fresh) {
            continue;
        }
        if source.is_stopping() {
            break;
        }
        progress.step(&format!("table {class}"));
        match read_table(archive, source, progress, class).await {
            Ok(()) => {}
            Err(error) if error.is_of_one_page() => notes.push(error.to_string()),
            // A key that may not read a table may still read the history.
            Err(CrawlError::Fatal(error @ (Fatal::Refused(_) | Fatal::NoHistory(_)))) => {
                notes.push(format!("table {class}: {error}"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(notes)
}

async fn read_table(
    archive: &mut Archive,
    source: &Source,
    progress: &Progress,
    class: &str,
) -> Result<(), CrawlError> {
    let scan = wall_millis();
    let content = Content::Table {
        class: class.to_owned(),
        scan,
    };
    let (mut way, mut rows) = (Way::Scan { cursor: None }, 0_u64);
    let mut writer = archive.begin(content.clone(), None)?;
    let is_finished = loop {
        let Some(fetched) = source.page(&way.request(class), table_page).await? else {
            break false;
        };
        let Fetched { page, read } = fetched;
        if page.status == 404
            && rows == 0
            && class == "_Conversation"
            && matches!(way, Way::Scan { .. })
        {
            way = Way::Pages { skip: 0 };
            continue;
        }
        if page.status == 404 {
            let what = format!("table {class}");
            archive.end(writer, None, None)?;
            return Err(CrawlError::GivenUp {
                what,
                reason: "the service does not have it".to_owned(),
                tries: 1,
            });
        }
        rows += read.rows as u64;
        let summary = Summary {
            rows: read.rows,
            is_sorted: true,
            ..Summary::default()
        };
        writer.append(page, &summary)?;
        progress.other_page();
        if writer.pages() >= PAGES_MAX {
            archive.end(writer, None, None)?;
            writer = archive.begin(content.clone(), None)?;
        }
        match way.after(&read) {
            Some(next) => way = next,
            None => break true,
        }
    };
    archive.end(writer, None, None)?;
    if is_finished {
        let class = class.to_owned();
        archive.change(|manifest| manifest.tables.push(TableScan { class, scan, rows }))?;
    }
    Ok(())
}

/// The way through a table.
enum Way {
    /// By a cursor, as it should be.
    Scan { cursor: Option<String> },
    /// By position, where there is no scan: conversations alone.
    Pages { skip: usize },
}

impl Way {
    fn request(&self, class: &str) -> Request {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        let limit = pair("limit", PAGE_ROWS.to_string());
        match self {
            Self::Scan { cursor } => Request {
                path: format!("/1.1/scan/classes/{}", encoded(class)),
                query: [
                    Some(limit),
                    cursor.clone().map(|cursor| pair("cursor", cursor)),
                ]
                .into_iter()
                .flatten()
                .collect(),
            },
            Self::Pages { skip } => Request {
                path: "/1.2/rtm/all-conversations".to_owned(),
                query: vec![limit, pair("skip", skip.to_string())],
            },
        }
    }

    fn after(self, page: &TablePage) -> Option<Self> {
        match self {
            Self::Scan { .. } => page.cursor.clone().map(|cursor| Self::Scan {
                cursor: Some(cursor),
            }),
            Self::Pages { skip } => (page.rows > 0).then_some(Self::Pages {
                skip: skip + page.rows,
            }),
        }
    }
}

fn table_page(body: &str) -> Result<TablePage, PageError> {
    #[derive(Deserialize)]
    struct Cursor {
        #[serde(default)]
        cursor: Option<String>,
    }
    let rows = page::rows(body)?.len();
    let cursor = serde_json::from_str::<Cursor>(body)
        .ok()
        .and_then(|it| it.cursor);
    Ok(TablePage {
        rows,
        cursor: cursor.filter(|cursor| !cursor.is_empty()),
    })
}
