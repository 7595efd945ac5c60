//! The program `sampan-service`.

mod program;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use sampan_service::core::app::{Apps, Credentials};
use sampan_service::core::settings;
use sampan_service::{RunningService, Service, ServiceError, ServiceOptions, StorageChoice};

use self::program::arguments::Arguments;
use self::program::log::Log;
use self::program::signals::{Asked, Signals};

/// How long clients may take to leave after they were told that the service stops: they ask the
/// router where to go, and an SDK that is cut off while it asks makes a fuss.
const DRAIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let say = |text: &str| {
        // A standard error that is closed is no reason to fail otherwise.
        let _ = writeln!(std::io::stderr(), "sampan-service: {text}");
    };
    match run(Arguments::parse()) {
        Ok(Ended::WhenAsked) => ExitCode::SUCCESS,
        Ok(Ended::ByItself) => {
            say("the core has failed; what was acknowledged is kept");
            ExitCode::from(3)
        }
        Err(reason) => {
            say(&reason);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<Ended, String> {
    let log = Log::start(arguments.log, arguments.log_format);
    let settings = match &arguments.settings {
        None => BTreeMap::new(),
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
            settings::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?
        }
    };
    let apps = arguments.apps.iter().map(|app| app.parse::<Credentials>());
    let apps = apps
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let folder = arguments.data.clone();
    let options = ServiceOptions {
        listen: arguments.listen,
        storage: StorageChoice::Folder(arguments.data),
        apps: Apps::new(apps, settings).map_err(|error| error.to_string())?,
        public_url: arguments.public_url,
        metrics: arguments.metrics,
        forget_clock: arguments.forget_clock,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime
        .block_on(serve(options, log))
        .map_err(|error| match error {
            ServiceError::Storage(_) => format!("{}: {error}", folder.display()),
            _ => error.to_string(),
        })
}

async fn serve(options: ServiceOptions, mut log: Log) -> Result<Ended, ServiceError> {
    let mut signals = Signals::new().map_err(ServiceError::Signal)?;
    let service = Service::start(options).await?;
    announce(&service);
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            () = service.failed() => return Ok(Ended::ByItself),
        };
        match asked {
            Asked::ToStop => break,
            Asked::ForMoreLog => log.more(),
            Asked::ForTheUsualLog => log.as_chosen(),
        }
    }
    tracing::info!("stopping: clients are told to go");
    tokio::select! {
        () = service.drain(DRAIN) => {}
        // Asked twice: at once, then.
        () = asked_to_stop(&mut signals) => {}
    }
    service.stop().await;
    tracing::info!("stopped");
    Ok(Ended::WhenAsked)
}

/// Says where the service listens: one line on standard output, and the log.
fn announce(service: &RunningService) {
    // Who started the program may not read what it says: that costs the line and nothing else.
    let _ = writeln!(std::io::stdout(), "listening on http://{}", service.addr());
    let (address, version) = (service.addr(), env!("CARGO_PKG_VERSION"));
    tracing::info!(%address, version, "the service listens");
    if let Some(address) = service.metrics_addr() {
        tracing::info!(%address, "/metrics listens");
    }
}

async fn asked_to_stop(signals: &mut Signals) {
    while signals.next().await != Asked::ToStop {}
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It was asked to.
    WhenAsked,
    /// Its core failed.
    ByItself,
}
