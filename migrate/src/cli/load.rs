//! `sampan-migrate load`.

use std::process::ExitCode;
use std::time::Duration;

use super::LoadArguments;
use super::key::master_key;
use crate::http::{Server, ServerOptions};
use crate::load::{self, Destination, Fate, LoadOptions, LoadReport};

/// How long a service may take for one batch: a machine under load takes a while.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn run(arguments: &LoadArguments) -> Result<ExitCode, String> {
    let options = LoadOptions {
        into: destination(arguments)?,
        app: arguments.app.clone(),
        archives: arguments.archive.clone(),
        exports: arguments.export.clone(),
        report: arguments.report.clone(),
        takes_any_export: arguments.any_export,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let report = runtime
        .block_on(load::run(&options))
        .map_err(|error| error.to_string())?;
    tell(&report, options.report.is_some());
    Ok(ExitCode::SUCCESS)
}

/// The service at the address, or else the folder.
fn destination(arguments: &LoadArguments) -> Result<Destination, String> {
    let Some(url) = &arguments.server else {
        let data = arguments.data.clone();
        let data = data.ok_or("--data or --server says where to load into")?;
        return Ok(Destination::Folder(data));
    };
    let server = Server::new(ServerOptions {
        url: url.clone(),
        app: arguments.app.clone(),
        key: master_key(arguments.master_key_file.as_deref())?,
        timeout: TIMEOUT,
        may_be_clear: arguments.insecure,
    });
    let server = server.map_err(|error| error.to_string())?;
    Ok(Destination::Service(Box::new(server)))
}

fn tell(report: &LoadReport, is_listed: bool) {
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
