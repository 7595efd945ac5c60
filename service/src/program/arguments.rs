//! The flags of the program, and what the environment says in their place.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

use super::log::{Format, Level};

/// A messaging service for apps that use Sampan or the LeanCloud realtime SDKs.
///
/// Clients are pointed at it by one URL: the one that is printed when it is ready, or the one given
/// by --public-url when it stands behind a reverse proxy. Everything acknowledged survives a
/// killed process and a power cut.
#[derive(Parser, Debug)]
#[command(name = "sampan-service", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(
        long,
        env = "SAMPAN_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    /// Folder for the data; made if it is not there. One service at a time can use it.
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,

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
    pub(crate) apps: Vec<String>,

    /// JSON file with settings for each app: signatures, features, limits, retention.
    #[arg(long, env = "SAMPAN_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// URL under which clients reach the service, such as https://chat.example.com behind a
    /// reverse proxy that encrypts. Without it clients come back to the address they asked.
    #[arg(long, env = "SAMPAN_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub(crate) public_url: Option<String>,

    /// Address and port of /metrics for Prometheus, and of /health; off without it. Whoever reaches it
    /// may read it: choose one that only you reach.
    #[arg(long, env = "SAMPAN_METRICS", value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,

    /// How much the log on standard error has. SIGUSR1 makes it one step more, SIGUSR2 this again.
    #[arg(long, env = "SAMPAN_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) log: Level,

    /// How a line of the log is written.
    #[arg(
        long,
        env = "SAMPAN_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: Format,

    /// Let the service's own clock, which never goes back, begin anew from the machine's: once,
    /// after a start with a clock that was far ahead.
    #[arg(long)]
    pub(crate) forget_clock: bool,
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
