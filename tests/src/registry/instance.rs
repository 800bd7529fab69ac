//! One instance of the registry as a process that can be killed, stopped and started again on its
//! port and its data.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use meshwork_testkit::free_ports;
use parking_lot::Mutex;

use crate::demo::meshwork;

/// How long a start or an end in order may take on a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often is looked.
const PAUSE: Duration = Duration::from_millis(25);
/// Last bytes of an instance's log that a message shows.
const TAIL: usize = 4_000;

/// An instance, running or not. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Instance {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    number: usize,
    port: u16,
    dir: PathBuf,
    bootstrap_servers: String,
    child: Mutex<Option<Child>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.lock().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Instance {
    /// An instance that keeps everything in `dir` and writes to `topic`. Not started.
    ///
    /// # Errors
    /// The directory can't be written, or there is no free port.
    pub fn new(number: usize, dir: &Path, topic: &str, bootstrap_servers: &str) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        // It stays this instance's through its restarts.
        let port = free_ports(1)?.pop().context("no port")?;
        let service = serde_json::json!({ "topic": topic });
        let config = serde_json::json!({ "registry": { "service": service } });
        // JSON is YAML.
        std::fs::write(dir.join("meshwork.yaml"), config.to_string())?;
        Ok(Self {
            inner: Arc::new(Inner {
                number,
                port,
                dir: dir.to_owned(),
                bootstrap_servers: bootstrap_servers.to_owned(),
                child: Mutex::new(None),
            }),
        })
    }

    /// Its number, from 0.
    #[must_use]
    pub fn number(&self) -> usize {
        self.inner.number
    }

    /// Where its REST API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.inner.port)
    }

    /// Starts it; nothing happens if it runs.
    ///
    /// # Errors
    /// It can't be started.
    pub fn start(&self) -> Result<()> {
        let inner = &self.inner;
        let mut child = inner.child.lock();
        if let Some(running) = child.as_mut()
            && running.try_wait()?.is_none()
        {
            return Ok(());
        }
        let _ = std::fs::remove_file(self.addresses());
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())?;
        // It ends with this process, however that ends.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(meshwork()?)
            .args(["run", "--role", "registry", "--config"])
            .arg(inner.dir.join("meshwork.yaml"))
            .args(["--bootstrap-server", &inner.bootstrap_servers])
            .args(["--registry-listen", &format!("127.0.0.1:{}", inner.port)])
            .args(["--admin-listen", "127.0.0.1:0", "--data-dir"])
            .arg(inner.dir.join("data"))
            .arg("--addresses-file")
            .arg(self.addresses())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        *child = Some(spawn(command)?);
        Ok(())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// It ended, or the deadline passed.
    pub async fn ready(&self) -> Result<()> {
        let until = Instant::now() + DEADLINE;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(2))
            .build()?;
        while Instant::now() < until {
            if let Some(status) = self.ended()? {
                bail!("{} ended ({status}):\n{}", self.name(), self.tail());
            }
            if let Some(admin) = self.admin()
                && let Ok(answer) = http.get(format!("{admin}/ready")).send().await
                && answer.status().is_success()
            {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!(
            "{} was not ready within {} s:\n{}",
            self.name(),
            DEADLINE.as_secs(),
            self.tail()
        )
    }

    /// Whether it runs, stopped or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.inner.child.lock().is_some() && matches!(self.ended(), Ok(None))
    }

    /// `kill -9`, and waits until it is gone. Works on one that is paused, too.
    ///
    /// # Errors
    /// It was not running.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.take()?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGSTOP: it keeps its connections and does nothing.
    ///
    /// # Errors
    /// It is not running.
    pub fn pause(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// It is not running.
    pub fn resume(&self) -> Result<()> {
        self.signal("-CONT")
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// It does not end in time, or not well.
    pub async fn terminate(&self) -> Result<()> {
        self.signal("-TERM")?;
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            match self.ended()? {
                Some(status) if status.success() => {
                    self.inner.child.lock().take();
                    return Ok(());
                }
                Some(status) => bail!("{} ended ({status}):\n{}", self.name(), self.tail()),
                None => tokio::time::sleep(PAUSE).await,
            }
        }
        bail!("{} did not end:\n{}", self.name(), self.tail())
    }

    /// How it ended, if it did by itself.
    ///
    /// # Errors
    /// It can't be asked.
    pub fn ended(&self) -> Result<Option<ExitStatus>> {
        match self.inner.child.lock().as_mut() {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// The end of its log.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = std::fs::read(self.log()).unwrap_or_default();
        let from = text.len().saturating_sub(TAIL);
        String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
    }

    /// Its log, from its first start on.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.inner.dir.join("meshwork.log")
    }

    fn name(&self) -> String {
        format!("instance {}", self.inner.number)
    }

    fn addresses(&self) -> PathBuf {
        self.inner.dir.join("addresses.json")
    }

    fn admin(&self) -> Option<String> {
        let file = File::open(self.addresses()).ok()?;
        let addresses: serde_json::Value = serde_json::from_reader(file).ok()?;
        Some(addresses.get("admin")?.as_str()?.to_owned())
    }

    fn take(&self) -> Result<Child> {
        self.inner
            .child
            .lock()
            .take()
            .with_context(|| format!("{} is not running", self.name()))
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = match self.inner.child.lock().as_ref() {
            Some(child) => child.id(),
            None => bail!("{} is not running", self.name()),
        };
        let status = Command::new("kill")
            .args([signal, &pid.to_string()])
            .status()?;
        if !status.success() {
            bail!("{} can't be sent {signal}", self.name());
        }
        Ok(())
    }
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// Spawns on a thread that lives as long as this process: a child that dies with its parent dies
/// with the thread that made it.
///
/// # Errors
/// It can't be started.
pub fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, taken) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in taken {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, answered) = channel();
    spawner
        .send((command, answer))
        .ok()
        .context("nothing can be started any more")?;
    answered
        .recv()
        .context("nothing can be started any more")?
        .context("setpriv (util-linux) can't be run")
}
