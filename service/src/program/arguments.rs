//! The flags of the program, and the variables of the environment in their place.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use sampan_service::core::app::Secret;
use sampan_service::{FilesChoice, Network, S3Options};

use super::log::{Format, Level};

/// A messaging service for apps that use Sampan or the LeanCloud realtime SDKs.
///
/// Clients need one URL: the one that the service prints when it is ready, or the one given by --public-url
/// when a reverse proxy stands in front. Everything acknowledged survives a killed process and a power cut.
#[derive(Parser, Debug)]
#[command(
    name = "sampan-service",
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) tool: Option<Tool>,

    #[command(flatten)]
    pub(crate) serve: Serve,
}

/// The tasks of the program beside serving.
#[derive(Subcommand, Debug)]
pub(crate) enum Tool {
    /// Checks a settings file, and the apps where they are given, without starting anything.
    CheckSettings(CheckSettings),
    /// Copies all data into a new folder, while the service runs or not.
    Backup(Backup),
    /// Sees to sessions, clients and conversations of an app, at the service that runs over a data folder.
    #[cfg(unix)]
    Admin(Admin),
    /// Checks a backup, or brings it back into a new data folder.
    Restore(Restore),
    /// Reads all data and files of a service that does not run, and says whether they are whole. Changes nothing.
    Check(Check),
    /// Saves the good rows of damaged data into a new data folder. The old folder is not changed.
    Salvage(Salvage),
}

/// The arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The data folder.
    #[arg(value_name = "DIR")]
    pub(crate) data: PathBuf,
}

/// The arguments of `salvage`.
#[derive(Args, Debug)]
pub(crate) struct Salvage {
    /// The data folder that is damaged.
    #[arg(value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// A new data folder for a service to start with.
    #[arg(long, value_name = "DIR")]
    pub(crate) into: PathBuf,
}

/// The arguments of `check-settings`.
#[derive(Args, Debug)]
pub(crate) struct CheckSettings {
    /// The settings file.
    #[arg(value_name = "FILE")]
    pub(crate) settings: PathBuf,

    #[command(flatten)]
    pub(crate) apps: AppFlags,
}

/// The service, for the tools that reach a running one.
#[derive(Args, Debug)]
pub(crate) struct DataFlag {
    /// The data folder of the service.
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    pub(crate) data: PathBuf,
}

/// The arguments of `backup`.
#[derive(Args, Debug)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) folder: DataFlag,

    /// A new folder for the copy; made if it is not there.
    #[arg(value_name = "TO")]
    pub(crate) to: PathBuf,

    /// An earlier backup: the clients' files that it has are linked and not copied again.
    #[arg(long, value_name = "BACKUP")]
    pub(crate) since: Option<PathBuf>,
}

/// The arguments of `admin`.
#[cfg(unix)]
#[derive(Args, Debug)]
pub(crate) struct Admin {
    #[command(flatten)]
    pub(crate) folder: DataFlag,

    #[command(flatten)]
    pub(crate) apps: AppFlags,

    /// The app, where several are given.
    #[arg(long, value_name = "ID")]
    pub(crate) of: Option<String>,

    #[command(subcommand)]
    pub(crate) errand: Errand,
}

/// Errands of `admin`. Each prints JSON.
#[cfg(unix)]
#[derive(Subcommand, Debug)]
pub(crate) enum Errand {
    /// Lists the sessions that stand, one a line.
    Sessions {
        /// Only of this client.
        #[arg(long)]
        client: Option<String>,
    },
    /// Counts the clients that are online, and those that were today.
    Stats,
    /// Ends the sessions and tokens of a client; it may sign in again.
    Kick {
        /// The client.
        client: String,
        /// The reason that the client is told, 20 characters at most.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Keeps a client out of the app (4106); its sessions and tokens end.
    Bar {
        /// The client.
        client: String,
        /// The end of the bar, in milliseconds since 1970; without it for good.
        #[arg(long, value_name = "MILLISECONDS")]
        until: Option<i64>,
        /// The reason that the client is told, 20 characters at most.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lets a client in again.
    Unbar {
        /// The client.
        client: String,
    },
    /// Revokes tokens, of one client or of all of the app, and ends the sessions that stand on them.
    Revoke {
        /// Only of this client.
        #[arg(long)]
        client: Option<String>,
    },
    /// Deletes a conversation with all that was said in it.
    DeleteConversation {
        /// The conversation.
        id: String,
    },
    /// Erases a client's data: messages, memberships with receipts, tokens, notifications.
    Erase {
        /// The client.
        client: String,
    },
}

/// The arguments of `restore`.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The folder of the backup.
    #[arg(value_name = "FROM")]
    pub(crate) from: PathBuf,

    /// Only reads the backup, rows and files, and compares it with its note.
    #[arg(long)]
    pub(crate) check: bool,

    /// A new data folder for a service to start with.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "check",
        conflicts_with = "check"
    )]
    pub(crate) data: Option<PathBuf>,
}

/// The apps to serve.
#[derive(Args, Debug)]
pub(crate) struct AppFlags {
    /// An app to serve: its id, the key its clients have, and the master key its servers have.
    /// Give it again for each further app; in the environment, apps are separated by commas.
    #[arg(
        long = "app",
        env = "SAMPAN_APPS",
        value_name = "ID:KEY:MASTERKEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    // Read later: a complaint of the flags themselves would repeat the keys.
    pub(crate) apps: Vec<String>,

    /// File with an app on each line, in the form of --app; read again on SIGHUP. Lines that begin
    /// with # are left out.
    #[arg(long, env = "SAMPAN_APP_FILE", value_name = "FILE")]
    pub(crate) app_file: Option<PathBuf>,
}

/// The storage for files that clients upload, if it is not the data folder.
#[derive(Args, Debug)]
pub(crate) struct S3Flags {
    /// URL of a storage that speaks S3, such as https://s3.eu-central-1.amazonaws.com: the files that
    /// clients upload go there, and not into the data folder.
    #[arg(
        long,
        env = "SAMPAN_FILES_S3",
        value_name = "URL",
        requires_all = ["files_s3_bucket", "files_s3_key_id", "files_s3_key"]
    )]
    pub(crate) files_s3: Option<String>,

    /// The bucket, which must be there.
    #[arg(
        long,
        env = "SAMPAN_FILES_S3_BUCKET",
        value_name = "NAME",
        requires = "files_s3"
    )]
    pub(crate) files_s3_bucket: Option<String>,

    /// The region of the bucket.
    #[arg(
        long,
        env = "SAMPAN_FILES_S3_REGION",
        value_name = "REGION",
        default_value = "us-east-1"
    )]
    pub(crate) files_s3_region: String,

    /// The id of the key by which the service signs.
    #[arg(
        long,
        env = "SAMPAN_FILES_S3_KEY_ID",
        value_name = "ID",
        requires = "files_s3"
    )]
    pub(crate) files_s3_key_id: Option<String>,

    /// The key by which the service signs.
    #[arg(
        long,
        env = "SAMPAN_FILES_S3_KEY",
        value_name = "KEY",
        hide_env_values = true,
        requires = "files_s3"
    )]
    pub(crate) files_s3_key: Option<String>,

    /// Name the bucket in the host of URLs, as some storages want it, and not in their path.
    #[arg(long, env = "SAMPAN_FILES_S3_BUCKET_IN_HOST", requires = "files_s3")]
    pub(crate) files_s3_bucket_in_host: bool,
}

impl S3Flags {
    pub(crate) fn choice(self) -> FilesChoice {
        match self.files_s3 {
            None => FilesChoice::WithData,
            Some(endpoint) => FilesChoice::S3(S3Options {
                endpoint,
                bucket: self.files_s3_bucket.unwrap_or_default(),
                region: self.files_s3_region,
                key_id: self.files_s3_key_id.unwrap_or_default(),
                key: Secret::new(&self.files_s3_key.unwrap_or_default()),
                bucket_in_host: self.files_s3_bucket_in_host,
            }),
        }
    }
}

/// The flags of serving, which the program does without a subcommand.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(
        long,
        env = "SAMPAN_LISTEN",
        value_name = "ADDR:PORT",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    /// Folder for the data; made if it is not there. One service at a time can use it.
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR", required = true)]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) apps: AppFlags,

    #[command(flatten)]
    pub(crate) files_s3: S3Flags,

    /// JSON file with settings for each app: signatures, features, limits, retention. Read again on
    /// SIGHUP.
    #[arg(long, env = "SAMPAN_SETTINGS", value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,

    /// URL under which clients reach the service, such as https://chat.example.com behind a
    /// reverse proxy that encrypts. Without it clients come back to the address they asked.
    #[arg(long, env = "SAMPAN_PUBLIC_URL", value_name = "URL", value_parser = public_url)]
    pub(crate) public_url: Option<String>,

    /// PEM file of a certificate, with those that lead to its root: the service itself encrypts.
    /// Read again when it changes.
    #[arg(
        long,
        env = "SAMPAN_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub(crate) tls_cert: Option<PathBuf>,

    /// PEM file of the certificate's private key.
    #[arg(
        long,
        env = "SAMPAN_TLS_KEY",
        value_name = "FILE",
        requires = "tls_cert"
    )]
    pub(crate) tls_key: Option<PathBuf>,

    /// A proxy in front of the service, as an address or a network such as 10.0.0.0/8: its
    /// X-Forwarded-For and X-Forwarded-Proto are believed. Give it again for each further one.
    #[arg(
        long = "trust-proxy",
        env = "SAMPAN_TRUST_PROXY",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub(crate) trusted_proxies: Vec<Network>,

    /// Requests and WebSockets that one address may open in a minute; more are refused with status
    /// 429. Behind a proxy, name it by --trust-proxy too.
    #[arg(long, env = "SAMPAN_ADDRESS_RATE", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) address_rate: Option<u32>,

    /// Address and port of /metrics for Prometheus, and of /health; off without it. Anyone who reaches the
    /// address may read them: choose one that only you reach.
    #[arg(long, env = "SAMPAN_METRICS", value_name = "ADDR:PORT")]
    pub(crate) metrics: Option<SocketAddr>,

    /// Address and port of a page that shows the service at work; off without it. It wants
    /// SAMPAN_INSPECTOR_TOKEN.
    #[arg(
        long,
        env = "SAMPAN_INSPECTOR",
        value_name = "ADDR:PORT",
        requires = "inspector_token"
    )]
    pub(crate) inspector: Option<SocketAddr>,

    /// The token of the page, of 16 characters at least. It opens everything that is kept.
    #[arg(
        long,
        env = "SAMPAN_INSPECTOR_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    // Read later: a complaint of the flags themselves would repeat it.
    pub(crate) inspector_token: Option<String>,

    /// The level of the log on standard error. SIGUSR1 raises the level by one, SIGUSR2 returns to this level.
    #[arg(long, env = "SAMPAN_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) log: Level,

    /// The format of a line of the log.
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

/// The end of --help.
const EXAMPLES: &str = "\
Examples:
  A service to try things out on, on this machine only:
    sampan-service --data ./data --app myApp:myKey:myMasterKey
  Behind a reverse proxy that does TLS for chat.example.com, keys not visible to other users:
    SAMPAN_APPS=myApp:myKey:myMasterKey sampan-service --data /var/lib/sampan \\
      --settings /etc/sampan.json --public-url https://chat.example.com
  A backup while it runs, and the proof that it is whole:
    sampan-service backup --data /var/lib/sampan /backup/monday
    sampan-service restore --check /backup/monday

It prints one line, `listening on http://ADDR:PORT`, when it is ready. SIGHUP makes it read its settings and apps again. SIGTERM or Ctrl-C stops it: clients are told
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
