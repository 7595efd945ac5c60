//! The tools of the program.

use std::path::Path;

use sampan_service::storage::{self, Backup, RedbStorage, Storage as _};

use super::apps::AppSources;
use super::arguments::{self, Tool};

/// Runs a tool; answers its message when all is well.
pub(crate) fn run(tool: Tool) -> Result<String, String> {
    match tool {
        Tool::CheckSettings(flags) => check_settings(flags),
        Tool::Backup(flags) => {
            // The service that writes the backup has another working folder.
            let absolute = |path| std::path::absolute(path).map_err(|error| error.to_string());
            let to = absolute(flags.to)?;
            let since = flags.since.map(absolute).transpose()?;
            let backup = back_up(&flags.folder.data, &to, since.as_deref())?;
            Ok(format!("{} are in {}", contents(&backup), to.display()))
        }
        Tool::Check(flags) => check_data(&flags.data),
        Tool::Salvage(flags) => salvage_data(&flags.data, &flags.into),
        #[cfg(unix)]
        Tool::Admin(flags) => super::admin::run(flags),
        Tool::Restore(flags) => {
            let restored = match &flags.data {
                None => Backup::check(&flags.from),
                Some(data) => Backup::restore(&flags.from, data),
            };
            let backup = restored.map_err(|error| error.to_string())?;
            let contents = contents(&backup);
            Ok(match flags.data {
                None => format!("the backup is whole: {contents}"),
                Some(data) => format!("{contents} are in {}", data.display()),
            })
        }
    }
}

fn contents(backup: &Backup) -> String {
    let (rows, bytes) = (backup.rows, backup.bytes);
    match &backup.files {
        None => format!("{rows} rows with {bytes} bytes"),
        Some(files) => format!(
            "{rows} rows with {bytes} bytes, {} files and records of files with {} bytes",
            files.count, files.bytes
        ),
    }
}

fn check_data(data: &Path) -> Result<String, String> {
    let folder = data.display();
    let checked = storage::check(data).map_err(|error| format!("{folder}: {error}"))?;
    let (rows, bytes) = (checked.rows, checked.bytes);
    Ok(match checked.has_checksums {
        true => format!(
            "the data is whole: {rows} rows with {bytes} bytes, {} files",
            checked.files
        ),
        false => format!(
            "{rows} rows with {bytes} bytes can be read; an earlier build wrote them without checksums \
             (`salvage` makes a copy that has them)"
        ),
    })
}

/// Tells the saved rows: the reader decides whether to go on with them or with a backup.
fn salvage_data(data: &Path, into: &Path) -> Result<String, String> {
    let saved = storage::salvage(data, into).map_err(|error| error.to_string())?;
    let mut said = format!("{} rows are in {}", saved.rows, into.display());
    match saved.was_whole {
        true => said.push_str("\nthe data was whole"),
        false => {
            said.push_str("\nthe data was damaged: rows are missing that no page has whole");
            said.push_str(&format!(
                "\nrows read from single pages: {}",
                saved.from_pages
            ));
            said.push_str("\nsome of them may have been deleted before");
        }
    }
    said.push_str(&format!(
        "\nrows made anew by which others are found: {}",
        saved.made_anew
    ));
    said.push_str(&format!(
        "\nrows left out that make no sense: {}",
        saved.left_out
    ));
    said.push_str(&format!(
        "\nfiles and records of files that came along: {}",
        saved.files
    ));
    Ok(said)
}

fn check_settings(flags: arguments::CheckSettings) -> Result<String, String> {
    let file = flags.settings.display().to_string();
    let text = std::fs::read_to_string(&flags.settings)
        .map_err(|error| format!("{file} cannot be read: {error}"))?;
    let settings = sampan_service::core::settings::parse_file(&text)
        .map_err(|error| format!("{file}: {error}"))?;
    let sources = AppSources::new(flags.apps, Some(flags.settings));
    if !sources.is_empty() {
        sources.read()?;
    }
    Ok(format!(
        "{file} is good; it has settings for {} apps",
        settings.len()
    ))
}

/// Asks the service that runs; where none does, copies by itself.
fn back_up(data: &Path, to: &Path, since: Option<&Path>) -> Result<Backup, String> {
    #[cfg(unix)]
    if let Some(answer) = super::control::back_up(data, to, since) {
        return answer;
    }
    if !RedbStorage::file_in(data).exists() {
        return Err(format!("{} has no data of a service", data.display()));
    }
    let storage =
        RedbStorage::open_folder(data).map_err(|error| format!("{}: {error}", data.display()))?;
    let snapshot = storage.snapshot().map_err(|error| error.to_string())?;
    let backup = snapshot.write_to(to, data, since);
    backup.map_err(|error| error.to_string())
}
