//! The making of a data file: it is whole, or it is not there.

use std::path::{Path, PathBuf};

use super::StorageError;
use super::backup::sync_folder;

/// Makes a database beside its place by `create`, and puts it there when it is whole: redb does not open a file
/// whose making was interrupted.
pub(super) fn make(
    file: &Path,
    create: impl FnOnce(&Path) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let new = unfinished(file, &std::process::id().to_string());
    // A process of this number may have been killed right here.
    let _ = std::fs::remove_file(&new);
    for_owner_only(&new)?;
    create(&new)?;
    // A link never takes the place of a database that another process made meanwhile. Where the file system
    // has no links, the database is made in its place.
    let linked = std::fs::hard_link(&new, file);
    let _ = std::fs::remove_file(&new);
    if let (Ok(()), Some(folder)) = (linked, file.parent()) {
        sync_folder(folder)?;
    }
    Ok(())
}

/// The name of a database that is being made.
fn unfinished(file: &Path, process: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".new-{process}"));
    PathBuf::from(name)
}

/// Removes databases whose making was interrupted.
pub(super) fn remove_unfinished(file: &Path) {
    let begin = unfinished(file, "");
    let begin = begin.file_name().unwrap_or_default().to_string_lossy();
    let entries = file.parent().map(std::fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&*begin) {
            // A process that still makes one finds the database in its place.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Makes the file if it is missing, and readable for nobody but its owner: it holds people's messages to each
/// other.
#[cfg(unix)]
pub(super) fn for_owner_only(file: &Path) -> std::io::Result<()> {
    use std::fs::{OpenOptions, Permissions, set_permissions};
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};

    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)?;
    set_permissions(file, Permissions::from_mode(0o600))
}

/// Here the mode of a file does not say who may read the file.
#[cfg(not(unix))]
pub(super) fn for_owner_only(_: &Path) -> std::io::Result<()> {
    Ok(())
}
