//! What is measured runs as a process of its own, ended with the bench.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// Clock ticks a second in `/proc`: `USER_HZ`, which is 100 on every Linux.
const TICKS: f64 = 100.0;

/// A process and its log.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// Memory of a process, MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now: f64,
    /// The most that was ever resident.
    pub(crate) peak: f64,
}

impl Process {
    /// Starts it; what it says goes to a file in `dir`.
    ///
    /// # Errors
    /// It can't be run.
    pub(crate) fn start(mut command: Command, dir: &Path) -> Result<Self> {
        let log = dir.join("log");
        let out = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("can't run {}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    /// That it runs.
    ///
    /// # Errors
    /// It has ended; with the last that it logged.
    pub(crate) fn runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("a server ended with {status}: {}", self.said());
        }
        Ok(())
    }

    /// The last that it logged.
    pub(crate) fn said(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(10)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// CPU time that it has used, in seconds.
    ///
    /// # Errors
    /// It has ended, or this is no Linux.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let (file, text) = self.proc("stat")?;
        let ticks = ticks(&text).with_context(|| format!("{file} does not tell the time"))?;
        Ok(ticks / TICKS)
    }

    /// Its memory, as the kernel counts it.
    ///
    /// # Errors
    /// As [`Process::cpu`].
    pub(crate) fn memory(&self) -> Result<Memory> {
        let (file, text) = self.proc("status")?;
        let field = |name: &str| -> Option<f64> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(kib / 1024.0)
        };
        match (field("VmRSS:"), field("VmHWM:")) {
            (Some(now), Some(peak)) => Ok(Memory { now, peak }),
            _ => bail!("{file} does not tell the memory"),
        }
    }

    fn proc(&self, name: &str) -> Result<(String, String)> {
        let file = format!("/proc/{}/{name}", self.child.id());
        let text = fs::read_to_string(&file).with_context(|| format!("can't read {file}"))?;
        Ok((file, text))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // As on `kill -9`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User's and system's, of `/proc/<pid>/stat`.
fn ticks(stat: &str) -> Option<f64> {
    // Behind the name, which may have spaces in it, they are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some(next()? + next()?)
}

/// The program `meshwork` that cargo has built beside this one.
///
/// # Errors
/// It is not built.
pub(crate) fn meshwork() -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("meshwork");
    ensure!(
        program.exists(),
        "{} is not built: run `cargo build --release -p meshwork` first, as `make bench` does",
        program.display()
    );
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_can_not_be_read_is_not_none_at_all() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 5 1 1";
        assert_eq!(ticks(stat), Some(42.0));
        assert_eq!(ticks("7 (a) S 1 7 7 0 -1 4194560 100 0 0 0 30"), None);
        assert_eq!(ticks(&stat.replace("12", "-")), None);
        assert_eq!(ticks(""), None);
    }
}
