//! `sampan-migrate status`, `verify` and `messages`: the content of an archive.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::UNIX_EPOCH;

use serde_json::json;
use serde_json::value::RawValue;

use super::LEFT;
use crate::archive::{Archive, ArchiveError, Manifest, read_segment};
use crate::core::compare::{Change, Merged};
use crate::crawl::{Attachment, damaged_attachments, forget_attachments};
use crate::merged::Messages;

pub(super) fn status(root: &Path) -> Result<ExitCode, String> {
    let manifest = Archive::read(root).map_err(|error| error.to_string())?;
    let rows: u64 = manifest
        .segments
        .iter()
        .filter(|one| one.slice.is_some())
        .map(|one| one.rows)
        .sum();
    let bytes: u64 = manifest.segments.iter().map(|one| one.file.bytes).sum();
    println!("app {} from {}", manifest.app, manifest.server);
    println!(
        "{rows} rows of messages in {} files, {bytes} bytes",
        manifest.segments.len()
    );
    for pass in &manifest.passes {
        let left = manifest
            .pending
            .iter()
            .filter(|slice| slice.pass == pass.number)
            .count();
        let state = if left == 0 {
            "done".to_owned()
        } else {
            format!("{left} slices left")
        };
        println!(
            "pass {} ({:?}): {} <= time < {}, {state}",
            pass.number,
            pass.kind,
            date(pass.older),
            date(pass.newer)
        );
    }
    for table in &manifest.tables {
        println!("table {}: {} rows", table.class, table.rows);
    }
    for check in &manifest.checks {
        println!(
            "compared {} conversations ({}), {} messages: {} missing",
            check.conversations, check.kind, check.messages, check.missing
        );
    }
    Ok(if manifest.pending.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(LEFT)
    })
}

/// A time as people read it.
fn date(millis: i64) -> String {
    let time = u64::try_from(millis)
        .ok()
        .map(|millis| UNIX_EPOCH + std::time::Duration::from_millis(millis));
    // A time later than the format can write is as good as never.
    let time =
        time.filter(|time| *time < UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799));
    time.map_or_else(|| millis.to_string(), httpdate::fmt_http_date)
}

pub(super) fn verify(root: &Path, is_repairing: bool) -> Result<ExitCode, String> {
    let manifest = match Archive::read(root) {
        Err(error @ (ArchiveError::Manifest { .. } | ArchiveError::NoArchive(_)))
            if is_repairing =>
        {
            println!("{error}");
            return rebuild(root);
        }
        read => read.map_err(|error| error.to_string())?,
    };
    let mut damaged = Vec::new();
    for segment in &manifest.segments {
        match read_segment(root, segment) {
            Ok(_) => {}
            Err(error @ ArchiveError::Damaged { .. }) => {
                println!("{error}");
                damaged.push(segment.number);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    let (lost, read) = damaged_attachments(root).map_err(|error| error.to_string())?;
    for line in &lost {
        println!("the file of {} is missing or damaged", line.url);
    }
    println!(
        "{} files checked, {} damaged",
        manifest.segments.len() as u64 + read,
        damaged.len() + lost.len()
    );
    if damaged.is_empty() && lost.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if is_repairing {
        repair(root, &manifest, &damaged, &lost)?;
    }
    Ok(ExitCode::from(LEFT))
}

fn repair(
    root: &Path,
    manifest: &Manifest,
    damaged: &[u32],
    lost: &[Attachment],
) -> Result<(), String> {
    let (mut archive, _) = Archive::open(root, manifest).map_err(|error| error.to_string())?;
    for number in damaged {
        archive
            .read_again(*number)
            .map_err(|error| error.to_string())?;
    }
    if !lost.is_empty() {
        forget_attachments(root, lost).map_err(|error| error.to_string())?;
    }
    println!(
        "set aside in {}; the next crawl asks for what they held",
        root.join("damaged").display()
    );
    Ok(())
}

fn rebuild(root: &Path) -> Result<ExitCode, String> {
    let now = crate::clock::wall_millis();
    let (_, recovered) = Archive::rebuild(root, now).map_err(|error| error.to_string())?;
    println!(
        "a new manifest names {} pages; the next crawl reads the history again beside them",
        recovered.pages
    );
    Ok(ExitCode::from(LEFT))
}

pub(super) fn messages(root: &Path, only_changed: bool) -> Result<ExitCode, String> {
    let manifest = Archive::read(root).map_err(|error| error.to_string())?;
    let mut messages = Messages::of(root, &manifest);
    let mut out = BufWriter::new(std::io::stdout().lock());
    while let Some((group, odd)) = messages.next_group().map_err(|error| error.to_string())? {
        for message in group
            .iter()
            .filter(|one| !only_changed || one.change.is_some())
        {
            match line(message).and_then(|line| writeln!(out, "{line}")) {
                // The reader has seen enough and closed the pipe.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                written => written.map_err(|error| error.to_string())?,
            }
        }
        for (error, _) in odd {
            eprintln!("left out: {error}");
        }
    }
    out.flush().map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn line(message: &Merged) -> std::io::Result<String> {
    let row = &message.latest.row;
    let change = message.change.map(|change| match change {
        Change::Edited => "edited",
        Change::Recalled => "recalled",
        Change::Deleted => "deleted",
    });
    let raw: &RawValue = serde_json::from_str(&row.raw)?;
    let known = json!({
        "at": row.at,
        "conversation": row.conversation,
        "id": row.id,
        "from": row.from,
        "change": change,
    });
    let known = known.to_string();
    // The row as it came, unparsed: no number loses a digit.
    Ok(format!(
        "{},\"row\":{}}}",
        known.trim_end_matches('}'),
        raw.get()
    ))
}
