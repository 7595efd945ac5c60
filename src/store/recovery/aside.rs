//! Setting aside: a file that the store cannot use, and that may be valuable, gets another name.

use crate::model::Timestamp;
use crate::store::disk::Disk;
use crate::store::recovery::report::{OpenReport, SetAside};

/// Gives another name to a file that is of no use and may be somebody's treasure.
pub(crate) fn set_aside(disk: &dyn Disk, name: &str, now: Timestamp, report: &mut OpenReport) {
    let Ok(taken) = disk.list() else {
        return;
    };
    let aside = aside_name(&taken, name, now);
    if disk.rename(name, &aside).is_ok() {
        report.set_aside.push(SetAside {
            name: aside,
            ..SetAside::default()
        });
    }
}

/// A name for a file to set aside that nothing has yet.
pub(crate) fn aside_name(taken: &[String], name: &str, now: Timestamp) -> String {
    let mut aside = format!("{name}.bad-{}", now.as_millis());
    while taken.contains(&aside) {
        aside.push('x');
    }
    aside
}
