//! The real program, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};

/// A running program; killed when it goes out of scope.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts the program over a folder, and waits until it listens.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[], Stdio::inherit())
    }

    /// Starts the program with more flags; its log goes where `log` says.
    pub(crate) fn start_with(data: &Path, flags: &[&str], log: Stdio) -> Self {
        let mut child = Process::new(env!("CARGO_BIN_EXE_sampan-service"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--app",
                "myApp:myKey:myMasterKey",
                "--data",
            ])
            .arg(data)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = address_of(&mut child);
        Self { child, address }
    }

    /// Starts the program under a shell, so that a file that grows too large is an error for it and
    /// not its end.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_with_errors_for_large_files(data: &Path) -> Self {
        let script = format!(
            "trap '' XFSZ; exec '{}' --listen 127.0.0.1:0 --app myApp:myKey:myMasterKey --data '{}'",
            env!("CARGO_BIN_EXE_sampan-service"),
            data.display()
        );
        let mut child = Process::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = address_of(&mut child);
        Self { child, address }
    }

    /// Starts the program in a terminal, which closes when this is killed.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_in_terminal(data: &Path) -> Self {
        let command = format!(
            "'{}' --listen 127.0.0.1:0 --app myApp:myKey:myMasterKey --log off --data '{}'",
            env!("CARGO_BIN_EXE_sampan-service"),
            data.display()
        );
        let mut child = Process::new("script")
            .args(["--quiet", "--command", &command, "/dev/null"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let address = address_of(&mut child);
        Self { child, address }
    }

    /// Lets its files grow to so many bytes and no further, as a disk does that is full.
    #[cfg(target_os = "linux")]
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let pid = self.child.id().to_string();
        let limited = Process::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={limit}:")])
            .status();
        assert!(limited.unwrap().success());
    }

    /// Sends it a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let killed = Process::new("kill").args([name, &pid]).status();
        assert!(killed.unwrap().success());
    }

    /// Ends it as a power cut would: at once, with nothing flushed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, as an operator does.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Waits until it has ended, and answers its exit code.
    #[cfg(unix)]
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// The memory it holds now, where the system tells.
    pub(crate) fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kibibytes * 1024)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where a program says that it listens.
fn address_of(child: &mut Child) -> SocketAddr {
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let (_, address) = line.trim().split_once("://").unwrap();
    address.parse().unwrap()
}
