//! The findings of opening a client's store, as an app needs them.

use crate::store;

/// The findings of opening a client's store on this device. The app need not react, but may inform its user.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct OpenReport {
    /// True if the store was made just now: this device had no data of the client.
    pub created: bool,
    /// True if anything was damaged. The undamaged data were saved, and the damaged files are kept under another
    /// name.
    pub found_damage: bool,
    /// The data that damage took from this device for good.
    pub lost: Loss,
    /// Details in English, for support: files and counts, without personal data. Empty when there is nothing to
    /// report.
    pub detail: String,
}

/// Data that damage took from a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, uniffi::Enum)]
pub enum Loss {
    /// Nothing.
    Nothing,
    /// Some messages of conversations. Gaps take their place, and the engine asks the service for them.
    History,
    /// Work that the service never had, of unknown extent.
    UnsentWork,
}

impl From<store::OpenReport> for OpenReport {
    fn from(report: store::OpenReport) -> Self {
        let lost = if report.lost_unsent_work() {
            Loss::UnsentWork
        } else if report.lost_history() {
            Loss::History
        } else {
            Loss::Nothing
        };
        Self {
            created: report.created,
            found_damage: report.found_damage(),
            lost,
            detail: report.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_worst_loss_and_keeps_the_particulars() {
        let mut found = store::OpenReport::default();
        let told = OpenReport::from(found.clone());
        assert_eq!((told.lost, told.detail.as_str()), (Loss::Nothing, ""));
        found.rolled_back = true;
        let told = OpenReport::from(found.clone());
        assert_eq!((told.lost, told.found_damage), (Loss::History, true));
        found.entries_lost = 3;
        let told = OpenReport::from(found);
        assert_eq!(told.lost, Loss::UnsentWork);
        assert_eq!(
            told.detail,
            "the database is older than the journal; unsent entries lost: 3"
        );
    }
}
