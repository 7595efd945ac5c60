//! The program `sampan-service`.

mod program;

/// Gives free memory back to the system within seconds, on a thread of its own (`docs/decisions/0017`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use sampan_service::core::app::Secret;
use sampan_service::{
    InspectorOptions, RunningService, Service, ServiceError, ServiceOptions, StorageChoice,
    TlsFiles,
};

use self::program::apps::AppSources;
use self::program::arguments::{Arguments, Serve};
use self::program::log::Log;
use self::program::signals::{Asked, Signals};
use self::program::tools;

/// How long clients may take to leave after they were told that the service stops: they ask the
/// router where to go, and an SDK that is cut off while it asks makes a fuss.
const DRAIN: Duration = Duration::from_secs(5);

/// Characters of the inspector's token at least: nobody guesses so many.
const INSPECTOR_TOKEN_MIN: usize = 16;

fn main() -> ExitCode {
    let say = |text: &str| {
        // A standard error that is closed is no reason to fail otherwise.
        let _ = writeln!(std::io::stderr(), "sampan-service: {text}");
    };
    let arguments = Arguments::parse();
    let done = match arguments.tool {
        None => run(arguments.serve),
        Some(tool) => tools::run(tool).map(|said| {
            // The caller of the tool may not read its output.
            let _ = writeln!(std::io::stdout(), "{said}");
            Ended::WhenAsked
        }),
    };
    match &done {
        Ok(Ended::WhenAsked) => {}
        Ok(Ended::ByItself) => say("the core has failed; what was acknowledged is kept"),
        Err(reason) => say(reason),
    }
    ExitCode::from(exit_code(&done))
}

/// The exit code of the program. A supervisor should restart a service that ended with 3; a person should look
/// at one that ended with 1. Wrong flags end the program with 2 before this point.
const fn exit_code(done: &Result<Ended, String>) -> u8 {
    match done {
        Ok(Ended::WhenAsked) => 0,
        Ok(Ended::ByItself) => 3,
        Err(_) => 1,
    }
}

fn run(arguments: Serve) -> Result<Ended, String> {
    let log = Log::start(arguments.log, arguments.log_format);
    let sources = AppSources::new(arguments.apps, arguments.settings);
    if sources.is_empty() {
        return Err("no app is given: say --app ID:KEY:MASTERKEY, or --app-file FILE".to_owned());
    }
    let folder = arguments.data.unwrap_or_default();
    let inspector = match arguments.inspector.zip(arguments.inspector_token) {
        Some((_, token)) if token.len() < INSPECTOR_TOKEN_MIN => {
            let short = format!("the inspector's token needs {INSPECTOR_TOKEN_MIN} characters");
            return Err(short);
        }
        Some((listen, token)) => Some(InspectorOptions {
            listen,
            token: Secret::new(&token),
        }),
        None => None,
    };
    let tls = arguments.tls_cert.zip(arguments.tls_key);
    let options = ServiceOptions {
        listen: arguments.listen,
        storage: StorageChoice::Folder(folder.clone()),
        files: arguments.files_s3.choice(),
        apps: sources.read()?,
        public_url: arguments.public_url,
        tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
        trusted_proxies: arguments.trusted_proxies,
        address_rate: arguments.address_rate,
        metrics: arguments.metrics,
        inspector,
        forget_clock: arguments.forget_clock,
    };
    for warning in program::apps::open_doors(options.listen, &options.apps) {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime
        .block_on(serve(options, &sources, log))
        .map_err(|error| match error {
            ServiceError::Storage(_) => format!("{}: {error}", folder.display()),
            _ => error.to_string(),
        })
}

async fn serve(
    options: ServiceOptions,
    sources: &AppSources,
    mut log: Log,
) -> Result<Ended, ServiceError> {
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
            Asked::ToReload => reload(&service, sources).await,
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
    // The caller of the program may not read its output: that costs the line and nothing else.
    let _ = writeln!(std::io::stdout(), "listening on {}", service.url());
    let (address, version) = (service.addr(), env!("CARGO_PKG_VERSION"));
    tracing::info!(%address, version, "the service listens");
    if let Some(address) = service.inspector_addr() {
        tracing::info!(%address, "the inspector listens");
    }
    if let Some(address) = service.metrics_addr() {
        tracing::info!(%address, "/metrics listens");
    }
}

/// Reads apps and settings again. Where they cannot be used, the service goes on with those it has.
async fn reload(service: &RunningService, sources: &AppSources) {
    match sources.read() {
        Ok(apps) => {
            service.serve_apps(apps).await;
            tracing::info!("apps and settings were read again");
        }
        Err(reason) => tracing::error!("apps and settings stay as they are: {reason}"),
    }
}

async fn asked_to_stop(signals: &mut Signals) {
    while signals.next().await != Asked::ToStop {}
}

/// The end of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The service was told to end.
    WhenAsked,
    /// Its core failed.
    ByItself,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_end_has_the_code_that_the_help_names() {
        assert_eq!(exit_code(&Ok(Ended::WhenAsked)), 0);
        assert_eq!(exit_code(&Ok(Ended::ByItself)), 3);
        assert_eq!(exit_code(&Err("the port is in use".to_owned())), 1);
    }
}
