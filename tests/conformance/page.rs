//! docs/conformance.md, read: its rows, their states and the checks that they name.

use crate::checks::{Case, ids_in};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Done,
    NotApplicable,
    Open,
}

/// One line of the page.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) state: State,
    /// The third cell: references, or the reason.
    pub(crate) cell: String,
}

/// Every id there is, in order.
pub(crate) fn all_ids() -> Vec<String> {
    let guides = (1..=378).map(|number| format!("S{number:03}"));
    guides
        .chain((1..=15).map(|number| format!("D{number:02}")))
        .collect()
}

/// The rows of a page. A line that looks like a row and is none is a complaint.
pub(crate) fn rows(page: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut complaints) = (Vec::new(), Vec::new());
    for line in page.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", id, state, cell, text, ""] = cells.as_slice() else {
            if line.starts_with("| S") || line.starts_with("| D") {
                complaints.push(format!("not four cells: {line}"));
            }
            continue;
        };
        if ids_in(id, Case::Upper).len() != 1 {
            continue;
        }
        let state = match *state {
            "done" => State::Done,
            "n/a" => State::NotApplicable,
            "open" => State::Open,
            other => {
                complaints.push(format!("{id}: `{other}` is no state"));
                continue;
            }
        };
        if text.is_empty() {
            complaints.push(format!("{id}: it does not say what the capability is"));
        }
        rows.push(Row {
            id: (*id).to_owned(),
            state,
            cell: (*cell).to_owned(),
        });
    }
    (rows, complaints)
}

impl Row {
    /// The references of the third cell; a reason has none.
    pub(crate) fn references(&self) -> Vec<&str> {
        if self.state == State::NotApplicable || self.cell.is_empty() {
            Vec::new()
        } else if self.cell.contains('`') {
            self.cell.split('`').skip(1).step_by(2).collect()
        } else {
            vec![&self.cell]
        }
    }
}
