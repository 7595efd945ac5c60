//! The program `sampan-service`.

use std::collections::BTreeMap;
use std::io::Write as _;
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

    /// Let the service's own clock, which never goes back, begin anew from the machine's: once,
    /// after a start with a clock that was far ahead.
    #[arg(long)]
    forget_clock: bool,
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
to go, and after five seconds at most it ends with code 0. It ends with code 2 when a flag is wrong, with 1
when it cannot start, and with 3 when it fails while it runs: start it again then.";

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
        forget_clock: arguments.forget_clock,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime
        .block_on(serve(options))
        .map_err(|error| match error {
            ServiceError::Storage(_) => format!("{}: {error}", folder.display()),
            _ => error.to_string(),
        })
}

async fn serve(options: ServiceOptions) -> Result<Ended, ServiceError> {
    let mut signals = Signals::new().map_err(ServiceError::Signal)?;
    let service = Service::start(options).await?;
    // Who started the program may not read what it says: that costs the line and nothing else.
    let _ = writeln!(std::io::stdout(), "listening on http://{}", service.addr());
    tokio::select! {
        () = signals.stop() => {}
        () = service.failed() => return Ok(Ended::ByItself),
    }
    tokio::select! {
        () = service.drain(DRAIN) => {}
        // Asked twice: at once, then.
        () = signals.stop() => {}
    }
    service.stop().await;
    Ok(Ended::WhenAsked)
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// It was asked to.
    WhenAsked,
    /// Its core failed.
    ByItself,
}

/// What asks the process to end. A signal that means nothing here ends nothing.
#[cfg(unix)]
struct Signals {
    stop: [tokio::signal::unix::Signal; 3],
    _ignored: [tokio::signal::unix::Signal; 2],
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            stop: [
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
                signal(SignalKind::hangup())?,
            ],
            _ignored: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits until the process is asked to end.
    async fn stop(&mut self) {
        let [terminate, interrupt, hang_up] = &mut self.stop;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

/// What asks the process to end.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits until the process is asked to end.
    async fn stop(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
