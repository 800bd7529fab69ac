//! Runs of `meshwork demo`, as a user's shell would start them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Longest that any step of a run may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(900);

/// The binary that `tests/run.sh` has built: beside the tests, in the same target directory.
///
/// # Errors
/// It is not there.
pub fn meshwork() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let profile = test
        .ancestors()
        .nth(2)
        .context("a test lies in target/<profile>/deps")?;
    let binary = profile.join("meshwork");
    if !binary.exists() {
        bail!(
            "{} is not built: run `cargo build -p meshwork` first",
            binary.display()
        );
    }
    Ok(binary)
}

/// Python with the stock clients, as `tests/e2e/clients/venv.sh` sets it up.
///
/// # Errors
/// It is not there.
pub fn venv_python() -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/clients/venv.sh");
    let output = Command::new(&script).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{} failed", script.display());
    }
    let python = PathBuf::from(String::from_utf8(output.stdout)?.trim()).join("bin/python");
    if !python.exists() {
        bail!("{} is not there", python.display());
    }
    Ok(python)
}

/// A run of the demo that is under way.
#[derive(Debug)]
pub struct Demo {
    child: Child,
    stderr: Receiver<String>,
    seen: Vec<String>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Whether its exit code was 0.
    pub success: bool,
    /// Its summary.
    pub summary: serde_json::Value,
    /// All that it wrote to stderr.
    pub stderr: Vec<String>,
}

impl Demo {
    /// `meshwork demo --once -o json --data-dir DIR …`.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(data_dir: &Path, more: &[&str]) -> Result<Self> {
        let mut child = Command::new(meshwork()?)
            .args(["demo", "--once", "-o", "json", "--data-dir"])
            .arg(data_dir)
            .args(more)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (send, stderr) = channel();
        let lines = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stderr,
            seen: Vec::new(),
        })
    }

    /// Waits for a line of stderr that `wanted` accepts, and returns it.
    ///
    /// # Errors
    /// The run ended, or the deadline passed, without such a line.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let until = Instant::now() + DEADLINE;
        loop {
            match self
                .stderr
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("{what} did not come:\n{}", self.tail()),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the demo ended before {what}:\n{}", self.tail())
                }
            }
        }
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// It can't be killed.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, for a run that was told to stay up.
    ///
    /// # Errors
    /// It can't be signalled.
    pub fn terminate(&self) -> Result<()> {
        let status = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()?;
        if !status.success() {
            bail!("the demo can't be signalled");
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The deadline passed, or stdout holds no JSON document.
    pub fn end(mut self) -> Result<Ended> {
        use std::io::Read as _;
        let mut stdout = self.child.stdout.take().context("stdout is piped")?;
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).map(|_| text)
        });
        let until = Instant::now() + DEADLINE;
        loop {
            match self
                .stderr
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.child.kill();
                    bail!("the demo did not end:\n{}", self.tail());
                }
            }
        }
        let status = self.child.wait()?;
        let text = reader
            .join()
            .map_err(|_| anyhow::anyhow!("the reader of stdout failed"))??;
        let summary = serde_json::from_str(&text)
            .with_context(|| format!("stdout is no JSON: {text:?}\n{}", self.tail()))?;
        Ok(Ended {
            success: status.success(),
            summary,
            stderr: std::mem::take(&mut self.seen),
        })
    }

    fn tail(&self) -> String {
        let from = self.seen.len().saturating_sub(40);
        self.seen.get(from..).unwrap_or_default().join("\n")
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // A failed test must leave neither the demo nor its broker behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
