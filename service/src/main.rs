//! The program `sampan-service`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sampan_service::core::app::{Apps, Credentials};
use sampan_service::core::settings;
use sampan_service::{Service, ServiceError, ServiceOptions, StorageChoice};

/// How long clients may take to leave after they were told that the service stops: they ask the
/// router where to go, and an SDK that is cut off while it asks makes a fuss.
const DRAIN: Duration = Duration::from_secs(5);

/// A messaging service for apps that use Sampan or the LeanCloud realtime SDKs.
///
/// Clients are pointed at it by one URL: the one that is printed when it is ready, or the one given
/// by --public-url when it stands behind a reverse proxy. Everything acknowledged survives a
/// killed process and a power cut.
#[derive(Parser, Debug)]
#[command(name = "sampan-service", version, after_help = EXAMPLES)]
struct Arguments {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(
        long,
        env = "SAMPAN_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080"
    )]
    listen: SocketAddr,

    /// Folder for the data; made if it is not there. One service at a time can use it.
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    data: PathBuf,

    /// An app to serve: its id, the key its clients have, and the master key its servers have.
    /// Give it again for each further app; in the environment, apps are separated by commas.
    #[arg(
        long = "app",
        env = "SAMPAN_APPS",
        value_name = "ID:KEY:MASTERKEY",
        value_delimiter = ',',
        hide_env_values = true,
        required = true
    )]
    // Read later: a complaint of the flags themselves would repeat the keys.
    apps: Vec<String>,

    /// JSON file with settings for each app: signatures, features, limits, retention.
    #[arg(long, env = "SAMPAN_SETTINGS", value_name = "FILE")]
    settings: Option<PathBuf>,

    /// URL under which clients reach the service, such as https://chat.example.com behind a
    /// reverse proxy that encrypts. Without it clients come back to the address they asked.
    #[arg(long, env = "SAMPAN_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    public_url: Option<String>,
}

/// What --help ends with.
const EXAMPLES: &str = "\
Examples:
  A service to try things out on, on this machine only:
    sampan-service --data ./data --app myApp:myKey:myMasterKey
  Behind a reverse proxy that does TLS for chat.example.com, keys not visible to other users:
    SAMPAN_APPS=myApp:myKey:myMasterKey sampan-service --data /var/lib/sampan \\
      --settings /etc/sampan.json --public-url https://chat.example.com

It prints one line, `listening on http://ADDR:PORT`, when it is ready. SIGTERM or Ctrl-C stops it: clients are told
to go, and after five seconds at most it ends with code 0. It ends with code 2 when a flag is wrong, and with 1
when it cannot start.";

/// Checks that clients can be sent to a URL: its scheme tells them whether to encrypt.
fn public_url(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let known = matches!(scheme, "http" | "https" | "ws" | "wss");
    match known && !rest.is_empty() && !rest.contains(['?', '#', ' ']) {
        true => Ok(text.to_owned()),
        false => Err("it must look like https://HOST, with http, https, ws or wss".to_owned()),
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("sampan-service: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
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
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime
        .block_on(serve(options))
        .map_err(|error| match error {
            ServiceError::Storage(_) => format!("{}: {error}", folder.display()),
            _ => error.to_string(),
        })
}

async fn serve(options: ServiceOptions) -> Result<(), ServiceError> {
    let service = Service::start(options).await?;
    println!("listening on http://{}", service.addr());
    stop_signal().await.map_err(ServiceError::Signal)?;
    tokio::select! {
        () = service.drain(DRAIN) => {}
        // Asked twice: at once, then.
        _ = stop_signal() => {}
    }
    service.stop().await;
    Ok(())
}

/// Waits until the process is asked to end.
#[cfg(unix)]
async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// Waits until the process is asked to end.
#[cfg(not(unix))]
async fn stop_signal() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
