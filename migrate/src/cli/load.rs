//! `sampan-migrate load`.

use std::process::ExitCode;

use super::LoadArguments;
use crate::load::{self, Fate, Options, Report};

pub(super) fn run(arguments: &LoadArguments) -> Result<ExitCode, String> {
    let options = Options {
        data: arguments.data.clone(),
        app: arguments.app.clone(),
        archives: arguments.archive.clone(),
        exports: arguments.export.clone(),
        report: arguments.report.clone(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let report = runtime
        .block_on(load::run(&options))
        .map_err(|error| error.to_string())?;
    tell(&report, options.report.is_some());
    Ok(ExitCode::SUCCESS)
}

fn tell(report: &Report, is_listed: bool) {
    let mut is_quarantined = false;
    for ((kind, fate), count) in &report.counts {
        let fate = match fate {
            Fate::Stored => "stored".to_owned(),
            Fate::Merged => "merged into what was there".to_owned(),
            Fate::Known => "known already".to_owned(),
            Fate::Quarantined(reason) => {
                is_quarantined = true;
                format!("not stored: {reason}")
            }
        };
        println!("{count:>9} {kind}: {fate}");
    }
    if is_quarantined && !is_listed {
        println!("--report FILE lists every row that was not stored, as it came");
    }
}
