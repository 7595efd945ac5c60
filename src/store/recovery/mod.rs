//! Making an open store out of what is on disk, whatever state that is in.

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
