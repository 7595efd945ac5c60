//! The peer: ejabberd, as Debian packs it, doing the same work. It keeps each message in its archive before it hands
//! the message on. It does not wait for the disk then; our service does. The archive lies in Mnesia, ejabberd's default, and
//! is what ejabberd waits for: without an archive it handed on 9,318 messages a second on a machine where it handed on 51
//! with Mnesia and 14 with SQLite.
//!
//! Its clients here speak as much of XMPP as the work needs. A machine without the package has no peer.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::common::{Outcome, resident_bytes_of};

/// The script by which Debian starts it, which tells where its code lies.
const SCRIPT: &str = "/usr/sbin/ejabberdctl";

/// How long it may take to start.
const START_MAX: Duration = Duration::from_secs(60);

/// The names of elements are of this place, and nobody asks there.
const NAMESPACE: &str = "etherx.jabber.org/streams";

fn beginning() -> String {
    format!(
        "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://{NAMESPACE}'>"
    )
}

const BIND: &str = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
    <resource>r</resource></bind></iq>";

/// A running ejabberd; ended when it goes out of scope.
pub(crate) struct Ejabberd {
    child: Child,
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Ejabberd {
    /// Starts it, where there is one.
    pub(crate) async fn start() -> Outcome<Option<Self>> {
        let Ok(script) = std::fs::read_to_string(SCRIPT) else {
            return Ok(None);
        };
        let libraries = script
            .lines()
            .find_map(|line| line.strip_prefix("ERL_LIBS="));
        let libraries = libraries.unwrap_or_default().trim_matches(['\'', '"']);
        let folder = tempfile::tempdir()?;
        let free = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        std::fs::write(folder.path().join("ejabberd.yml"), settings(free.port()))?;
        let child = Process::new("erl")
            .args(["-noinput", "+K", "true", "+P", "250000", "-mnesia", "dir"])
            .arg(format!("\"{}\"", folder.path().join("data").display()))
            .args(["-s", "ejabberd"])
            .env("ERL_LIBS", libraries)
            .env("EJABBERD_CONFIG_PATH", folder.path().join("ejabberd.yml"))
            .env("EJABBERD_LOG_PATH", log_in(folder.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self {
            child,
            address: free,
            _folder: folder,
        };
        let began = Instant::now();
        while TcpStream::connect(server.address).await.is_err() {
            if began.elapsed() > START_MAX {
                return Err("ejabberd does not start".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(Some(server))
    }

    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        resident_bytes_of(self.child.id())
    }
}

impl Drop for Ejabberd {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_in(folder: &Path) -> std::path::PathBuf {
    folder.join("ejabberd.log")
}

/// Anybody may sign in under any name, as at our service without signatures; every message is archived.
fn settings(port: u16) -> String {
    format!(
        "hosts: [localhost]
loglevel: warning
auth_method: [anonymous]
anonymous_protocol: login_anon
default_db: mnesia
shaper: {{}}
listen:
  - port: {port}
    ip: \"127.0.0.1\"
    module: ejabberd_c2s
    starttls: false
modules:
  mod_mam:
    default: always
  mod_offline: {{}}
"
    )
}

/// A client that is signed in.
pub(crate) struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Client {
    pub(crate) async fn sign_in(address: SocketAddr, name: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            heard: Vec::new(),
        };
        client.say(&beginning()).await?;
        client.hear("</stream:features>").await?;
        let secret = STANDARD.encode(format!("\0{name}\0none"));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>";
        client.say(&format!("{auth}{secret}</auth>")).await?;
        client.hear("<success").await?;
        client.say(&beginning()).await?;
        client.hear("</stream:features>").await?;
        client.say(BIND).await?;
        client.hear("</iq>").await?;
        client.say("<presence/>").await?;
        Ok(client)
    }

    pub(crate) async fn message(&mut self, to: &str, text: &str) -> Outcome<()> {
        let begin = format!("<message to='{to}@localhost/r' type='chat'>");
        self.say(&format!("{begin}<body>{text}</body></message>"))
            .await
    }

    /// Waits for a message.
    pub(crate) async fn hear_message(&mut self) -> Outcome<()> {
        self.hear("</message>").await
    }

    async fn say(&mut self, text: &str) -> Outcome<()> {
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    /// Reads to the end of a text.
    async fn hear(&mut self, end: &str) -> Outcome<()> {
        loop {
            let found = self
                .heard
                .windows(end.len())
                .position(|it| it == end.as_bytes());
            if let Some(at) = found {
                self.heard.drain(..at + end.len());
                return Ok(());
            }
            let mut some = [0; 4096];
            let count = self.stream.read(&mut some).await?;
            if count == 0 {
                return Err("ejabberd closed a connection".into());
            }
            self.heard
                .extend_from_slice(some.get(..count).unwrap_or_default());
        }
    }
}
