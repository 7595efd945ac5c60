//! Recovery makes an open store out of the files on disk, in any state of the files.

pub(super) mod aside;
pub(super) mod identify;
pub(super) mod load;
pub(super) mod migrate;
pub(super) mod options;
pub(super) mod rebuild;
pub(super) mod recover;
pub(super) mod report;
pub(super) mod salvage;
pub(super) mod salvage_packs;
pub(super) mod scan;
pub(super) mod segment_check;
