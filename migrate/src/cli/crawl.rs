//! `sampan-migrate crawl`.

use std::process::ExitCode;

use tokio::sync::watch;

use super::key::master_key;
use super::{CrawlArguments, LEFT};
use crate::core::pace::Limits;
use crate::core::slice::DAY_MS;
use crate::crawl::{self, CrawlError, CrawlOptions, CrawlReport, Progress};
use crate::http::{Server, ServerOptions};

pub(super) fn run(arguments: &CrawlArguments) -> Result<ExitCode, String> {
    let server = Server::new(ServerOptions {
        url: arguments.server.clone(),
        app: arguments.app.clone(),
        key: master_key(arguments.master_key_file.as_deref())?,
        timeout: arguments.pace.timeout,
        may_be_clear: arguments.pace.insecure,
    });
    let server = server.map_err(|error| error.to_string())?;
    let options = options(arguments);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let done = runtime.block_on(until_interrupted(server, &options));
    match done {
        Ok(report) => Ok(tell(&report, arguments)),
        Err(error) => Err(error.to_string()),
    }
}

fn options(arguments: &CrawlArguments) -> CrawlOptions {
    let pace = &arguments.pace;
    let now = crate::clock::wall_millis();
    CrawlOptions {
        archive: arguments.archive.clone(),
        keeps_addresses: arguments.keep_addresses,
        since: arguments.days.map_or(0, |days| {
            now.saturating_sub(i64::from(days) * DAY_MS).max(0)
        }),
        slice_ms: i64::try_from(pace.slice.as_millis())
            .unwrap_or(i64::MAX)
            .max(1),
        workers: pace.workers.clamp(1, 64),
        limits: Limits {
            start: pace.start_rate,
            ceiling: pace.max_rate,
            cool_down: pace.cool_down,
        },
        tries: pace.tries,
        retry_wait: pace.retry_wait,
        settle: pace.settle,
        again: arguments.again,
        tables: if arguments.no_tables {
            Vec::new()
        } else {
            arguments.tables.clone()
        },
        check_percent: arguments.check,
        attachments: arguments
            .attachments
            .then(|| arguments.attachment_max.saturating_mul(1024 * 1024)),
        follow: arguments.follow,
    }
}

/// Crawls until the crawl is done or the user presses Ctrl-C; then it still saves the pages that it has.
async fn until_interrupted(
    server: Server,
    options: &CrawlOptions,
) -> Result<CrawlReport, CrawlError> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("stopping; what was read is being saved");
            stop.send_replace(true);
            // The first Ctrl-C ends the run after saving, the second at once. A killed run loses nothing
            // either.
            if tokio::signal::ctrl_c().await.is_ok() {
                std::process::exit(130);
            }
        }
        // Without a handler nobody can ask: the sender stays, and so does the run.
        std::future::pending::<()>().await;
    });
    crawl::run(server, options, &Progress::shown(), stopped).await
}

fn tell(report: &CrawlReport, arguments: &CrawlArguments) -> ExitCode {
    let recovered = &report.recovered;
    if recovered.pages > 0 {
        println!(
            "{} pages taken over from a run that was cut off",
            recovered.pages
        );
    }
    if recovered.again > 0 {
        println!(
            "{} files were damaged or missing; their part was asked for again",
            recovered.again
        );
    }
    for path in &recovered.set_aside {
        println!("set aside, for it could not be read: {}", path.display());
    }
    println!(
        "{} rows of messages on {} pages; {} answers had to be asked for again",
        report.rows, report.pages, report.troubles
    );
    if report.rows == 0 {
        println!(
            "nothing new: messages of the last {} seconds come with the next run (--settle)",
            arguments.pace.settle.as_secs_f64()
        );
    }
    for check in &report.checks {
        println!(
            "compared {} {} conversations with {} messages: {} were missing in the history of the app{}",
            check.conversations,
            check.kind,
            check.messages,
            check.missing,
            if check.missing > 0 {
                ", so all of this kind were read by themselves"
            } else {
                ""
            }
        );
    }
    if let Some(files) = &report.attachments {
        println!(
            "attachments: {} saved, {} are gone or too large, {} to be tried again",
            files.kept, files.gone, files.failed
        );
    }
    for note in report.notes.iter().chain(&report.failed) {
        println!("note: {note}");
    }
    let is_left = report.left > 0 || report.attachments.is_some_and(|files| files.failed > 0);
    if is_left {
        println!(
            "{} slices are left; run the same command again",
            report.left
        );
        return ExitCode::from(LEFT);
    }
    ExitCode::SUCCESS
}
