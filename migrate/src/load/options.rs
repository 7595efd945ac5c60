//! The sources of a load, and its target.

use std::path::PathBuf;

use crate::http::Server;

/// The place to load into.
#[derive(Clone, Debug)]
pub enum Destination {
    /// The data folder of a service that does not run; made if it is not there.
    Folder(PathBuf),
    /// A service that runs, with its master key.
    Service(Box<Server>),
}

/// The sources of a load, and its target.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The place to load into.
    pub into: Destination,
    /// The app, as the service knows it.
    pub app: String,
    /// Folders of archives.
    pub archives: Vec<PathBuf>,
    /// Files of exports.
    pub exports: Vec<PathBuf>,
    /// The file that lists every row that was not stored.
    pub report: Option<PathBuf>,
    /// True if exports are loaded even where none of their conversations is in the archives.
    pub takes_any_export: bool,
}
