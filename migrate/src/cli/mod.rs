//! The flags, and what each command does with them.

mod crawl;
mod inspect;
mod key;
mod load;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Moves an app's conversations and messages out of a hosted service.
#[derive(Parser, Debug)]
#[command(name = "sampan-migrate", version, after_help = EXAMPLES)]
pub struct Arguments {
    /// The command.
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Saves the whole message history and the tables of an app into an archive.
    ///
    /// Begin today: a hosted service keeps messages for half a year and drops a day of them each day, and no
    /// export holds them. Run the same command again whenever you like: it continues where it stopped, after a
    /// kill too, and then adds the new messages. In the last days run it with --again: only a second reading
    /// shows messages that were edited, recalled or deleted since.
    Crawl(Box<CrawlArguments>),
    /// Loads archives and exports of tables into a sampan-service: into its data folder, or while it runs.
    ///
    /// Ids, times, order, content, members, roles and columns stay as they were. Load in any order, and
    /// repeatedly: stored data stay, and a later reading replaces an earlier one.
    Load(Box<LoadArguments>),
    /// Shows the content of an archive and the history that is left to read.
    Status(ArchiveArgument),
    /// Reads every page of an archive and checks its hashes.
    Verify(VerifyArguments),
    /// Writes all messages of an archive as JSON Lines, each once, as last read; newest first.
    Messages(MessagesArguments),
}

#[derive(Args, Debug)]
struct CrawlArguments {
    /// The API domain of the app, such as https://abcd.api.example.com.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The id of the app.
    #[arg(long, value_name = "ID")]
    app: String,
    /// File that holds the app's master key. Without it the key is taken from SAMPAN_MASTER_KEY. There is no
    /// flag for the key, because other users of the machine can see flags.
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// Folder of the archive; made if it is missing. Keep it safe: it holds the messages of people.
    #[arg(long, value_name = "DIR")]
    archive: PathBuf,
    /// Reads only the last so many days. Without it everything is read that the service still has.
    #[arg(long, value_name = "DAYS")]
    days: Option<u32>,
    /// Reads all of the history once more, and the tables.
    #[arg(long)]
    again: bool,
    /// Goes on running and saves new messages, asking this often, such as 5s.
    #[arg(long, value_name = "TIME", value_parser = duration, num_args = 0..=1, default_missing_value = "5s")]
    follow: Option<Duration>,
    /// Downloads the files that messages point at as well.
    #[arg(long)]
    attachments: bool,
    /// Files larger than this are noted and not downloaded.
    #[arg(long, value_name = "MIB", default_value_t = 200)]
    attachment_max: u64,
    /// Tables to read.
    #[arg(
        long,
        value_name = "CLASS",
        value_delimiter = ',',
        default_value = "_Conversation,_ConversationMemberInfo,_SysMessage,_File"
    )]
    tables: Vec<String>,
    /// Reads no tables.
    #[arg(long)]
    no_tables: bool,
    /// Percentage of conversations that are also read by themselves and compared; 0 for none. Kinds of
    /// conversation that the history of the app leaves out are then read one by one.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    check: f64,
    /// Keeps the addresses (IP) of senders. They are personal data, and no command needs them.
    #[arg(long)]
    keep_addresses: bool,
    #[command(flatten)]
    pace: PaceArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Pace (the defaults are careful)")]
struct PaceArguments {
    /// Requests a minute at the start. After a quiet minute they double.
    #[arg(long, value_name = "NUMBER", default_value_t = 60.0)]
    start_rate: f64,
    /// The most requests a minute.
    #[arg(long, value_name = "NUMBER", default_value_t = 600.0)]
    max_rate: f64,
    /// The time for which nothing is asked after the service said "too many requests".
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    cool_down: Duration,
    /// Requests on their way at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 4)]
    workers: usize,
    /// The time that an answer may take.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "60s")]
    timeout: Duration,
    /// The number of times that a page is asked for before the rest of its slice is left for the next run.
    #[arg(long, value_name = "NUMBER", default_value_t = 8)]
    tries: u32,
    /// The first wait before a page is asked for again; it doubles each time, up to a minute.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1s")]
    retry_wait: Duration,
    /// The length of a slice of history.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1d")]
    slice: Duration,
    /// Messages younger than this are left for the next run: they may not all be in the history yet.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    settle: Duration,
    /// Lets the master key travel to another machine without encryption.
    #[arg(long)]
    insecure: bool,
}

#[derive(Args, Debug)]
struct LoadArguments {
    /// Data folder of the service; made if it is not there. No service may be running on it.
    #[arg(long, value_name = "DIR", required_unless_present = "server")]
    data: Option<PathBuf>,
    /// Address of a service that runs, such as https://chat.example.com; slower than a folder.
    #[arg(long, value_name = "URL", conflicts_with = "data")]
    server: Option<String>,
    /// File that holds the app's master key at that service. Without it the key is taken from SAMPAN_MASTER_KEY.
    #[arg(long, value_name = "FILE", requires = "server")]
    master_key_file: Option<PathBuf>,
    /// Lets the master key travel to another machine without encryption.
    #[arg(long, requires = "server")]
    insecure: bool,
    /// The id of the app.
    #[arg(long, value_name = "ID")]
    app: String,
    /// Folder of an archive; may be given again.
    #[arg(long, value_name = "DIR", required_unless_present = "export")]
    archive: Vec<PathBuf>,
    /// File of an export: .jsonl, .json or .bson, each also as .gz, or a .tar.gz of them; may be given again.
    #[arg(long, value_name = "FILE")]
    export: Vec<PathBuf>,
    /// Loads an export even if none of its conversations is in the archives that are loaded with it. Such an export is
    /// taken for another app's.
    #[arg(long, requires = "export")]
    any_export: bool,
    /// Lists every row that is not stored in this file, with the reason and the row as it came.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct ArchiveArgument {
    /// Folder of the archive.
    archive: PathBuf,
}

#[derive(Args, Debug)]
struct VerifyArguments {
    /// Folder of the archive.
    archive: PathBuf,
    /// Sets damaged files aside; the next crawl asks for their content. Makes a new manifest if it is damaged.
    #[arg(long)]
    repair: bool,
}

#[derive(Args, Debug)]
struct MessagesArguments {
    /// Folder of the archive.
    archive: PathBuf,
    /// Only messages that were edited, recalled or deleted between two readings.
    #[arg(long)]
    changed: bool,
}

/// The end of `--help`.
const EXAMPLES: &str = "\
A whole way, in short:
  export SAMPAN_MASTER_KEY=...                    # or --master-key-file
  sampan-migrate crawl  --server https://HOST --app ID --archive ./saved --attachments
  sampan-migrate status ./saved
  sampan-migrate verify ./saved
  sampan-migrate load   --archive ./saved --export _Conversation.0.jsonl --data ./data --app ID --report left.jsonl
  sampan-migrate crawl  --server https://HOST --app ID --archive ./saved --again     # in the last days

It ends with code 0 when everything that was asked for is done, with 1 when it could not go on, with 2 when a flag
is wrong, and with 3 when some of the history did not come: the same command tries that part again.";

/// Exit code of a run that left something for the next.
const LEFT: u8 = 3;

/// Carries out the command of the flags.
#[must_use]
pub fn run(arguments: Arguments) -> ExitCode {
    let done = match arguments.command {
        Command::Crawl(arguments) => crawl::run(&arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Status(arguments) => inspect::status(&arguments.archive),
        Command::Verify(arguments) => inspect::verify(&arguments.archive, arguments.repair),
        Command::Messages(arguments) => inspect::messages(&arguments.archive, arguments.changed),
    };
    done.unwrap_or_else(|reason| {
        eprintln!("sampan-migrate: {reason}");
        ExitCode::FAILURE
    })
}

/// A length of time: a number and `ms`, `s`, `m`, `h` or `d`.
fn duration(text: &str) -> Result<Duration, String> {
    let at = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at).unwrap_or_default();
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => 0,
    };
    let total = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(millis));
    match total.filter(|_| millis > 0) {
        Some(total) => Ok(Duration::from_millis(total)),
        None => Err("it must look like 30s, 5m, 6h or 1d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_length_of_time_has_a_number_and_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1d"), Ok(Duration::from_secs(86_400)));
        for bad in [
            "",
            "s",
            "5",
            "5w",
            "-1s",
            "99999999999999999999d",
            "9999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
