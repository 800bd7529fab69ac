//! One broker process under its wrapper (`kafka.sh run`), steered by lines on its standard input.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{DevKafkaError, io};
use crate::kit::{last_lines, tail};

/// Lines of the wrapper that wait to be read; it says a handful in its life.
const SAID_MAX: usize = 64;
/// Most bytes of the wrapper's standard error that are kept.
const STDERR_MAX: u64 = 64 * 1024;
/// How long the wrapper has to carry out a word such as `pause`.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a start needs; kept, so that a node that was killed comes back the same.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) node: usize,
    pub(crate) script: PathBuf,
    pub(crate) data_dir: PathBuf,
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Plan {
    pub(crate) fn log(&self) -> PathBuf {
        log_of(&self.data_dir, self.node)
    }
}

pub(crate) fn log_of(data_dir: &Path, node: usize) -> PathBuf {
    data_dir.join(format!("node-{node}")).join("server.log")
}

/// A running wrapper. Dropping it closes its standard input, which ends the broker with SIGKILL.
#[derive(Debug)]
pub(crate) struct Running {
    plan: Plan,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
    pid: Option<u32>,
}

impl Running {
    pub(crate) fn start(plan: &Plan) -> Result<Self, DevKafkaError> {
        let mut child = Command::new("sh")
            .arg(&plan.script)
            .arg("run")
            .env("KAFKA_DATA", &plan.data_dir)
            .env("KAFKA_NODE", plan.node.to_string())
            .envs(plan.env.iter().map(|(k, v)| (*k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at the terminal must reach us and not the broker: we drain first.
            .process_group(0)
            .spawn()
            .map_err(io("run sh"))?;
        let stdin = child.stdin.take();
        let (tell, said) = sync_channel(SAID_MAX);
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if tell.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let errors = child.stderr.take().map(|stderr| {
            thread::spawn(move || {
                let mut text = Vec::new();
                let mut stderr = stderr;
                // What is beyond the limit is read and dropped, so that the wrapper never stalls.
                let _ = (&mut stderr).take(STDERR_MAX).read_to_end(&mut text);
                let _ = std::io::copy(&mut stderr, &mut std::io::sink());
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        Ok(Self {
            plan: plan.clone(),
            child,
            stdin,
            said,
            errors,
            pid: None,
        })
    }

    /// Process id of the broker itself, once it has been started.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Whether the wrapper, and so the broker, still runs.
    pub(crate) fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the broker says that it serves.
    pub(crate) fn wait_serving(
        &mut self,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(), DevKafkaError> {
        self.wait_for("serve", |line| line == "serving", deadline, limit)
    }

    fn wait_for(
        &mut self,
        what: &'static str,
        is_it: impl Fn(&str) -> bool,
        deadline: Instant,
        limit: Duration,
    ) -> Result<(), DevKafkaError> {
        loop {
            match self
                .said
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    if let Some(pid) = line.strip_prefix("pid ") {
                        self.pid = pid.trim().parse().ok();
                    }
                    if is_it(&line) {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(DevKafkaError::TimedOut {
                        node: self.plan.node,
                        what,
                        waited: limit,
                        said: tail(&self.plan.log(), 8),
                        log: self.plan.log(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let _ = self.child.wait();
                    return Err(self.ended());
                }
            }
        }
    }

    fn ended(&mut self) -> DevKafkaError {
        let errors = self
            .errors
            .take()
            .and_then(|thread| thread.join().ok())
            .unwrap_or_default();
        let log = tail(&self.plan.log(), 12);
        DevKafkaError::Ended {
            node: self.plan.node,
            said: format!("{}\n{log}", last_lines(&errors, 12))
                .trim()
                .to_owned(),
            log: self.plan.log(),
        }
    }

    /// Has the wrapper carry out `word` and waits for its answer.
    pub(crate) fn tell(&mut self, word: &'static str) -> Result<(), DevKafkaError> {
        let node = self.plan.node;
        let stdin = self
            .stdin
            .as_mut()
            .ok_or(DevKafkaError::NotRunning { node })?;
        if writeln!(stdin, "{word}")
            .and_then(|()| stdin.flush())
            .is_err()
        {
            return Err(DevKafkaError::NotRunning { node });
        }
        let done = format!("done {word}");
        self.wait_for(
            word,
            |line| line == done,
            Instant::now() + ANSWER_WITHIN,
            ANSWER_WITHIN,
        )
    }

    /// Waits until the wrapper has ended; false if it has not within `limit`.
    pub(crate) fn wait_ended(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.alive() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// SIGKILL to the broker, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        // Only where that can't be said is the end of its standard input the order: it means that
        // we are gone, and discards what is to be discarded.
        if self.tell("kill").is_err() {
            self.stdin = None;
        }
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}
