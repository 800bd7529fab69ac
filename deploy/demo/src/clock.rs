//! The simulated clock. The replay drives it: it reads T only once every record due by T, and its
//! observation, is acknowledged. How far it has come is kept in a file, so that an interrupted run
//! goes on from there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use meshwork_model::time::{Clock, Timestamp};

use crate::flights::timetable::BEGIN;

/// Reads what the replay last said; all roles share it.
#[derive(Debug)]
pub struct SimulatedClock {
    now: AtomicI64,
}

impl SimulatedClock {
    /// Stands at `start`.
    #[must_use]
    pub fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(start.as_millis()),
        })
    }

    /// Moves on to `to`; never back.
    pub(crate) fn advance(&self, to: Timestamp) {
        self.now.fetch_max(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }
}

/// Where the clock of an interrupted run stood, and whether a run is finished.
#[derive(Debug)]
pub struct Progress {
    dir: PathBuf,
}

impl Progress {
    /// Kept in `dir`, which must exist.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Where to start: where the last run stopped, or the beginning of the month.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        std::fs::read_to_string(self.dir.join("clock"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(BEGIN)
    }

    /// Notes that everything due by `to` is acknowledged. In place whole or not at all.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn note(&self, to: Timestamp) -> std::io::Result<()> {
        self.write("clock", &format!("{to}\n"))
    }

    /// Whether the summary of a run in this directory was printed.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.dir.join("finished").exists()
    }

    /// Notes that the summary is printed.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn finish(&self) -> std::io::Result<()> {
        self.write("finished", "")
    }

    /// Forgets the last run, so that the next starts afresh.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn forget(&self) -> std::io::Result<()> {
        // In this order: a run that is killed in between is still a finished one.
        for name in ["clock", "finished"] {
            match std::fs::remove_file(self.dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        let partial = self.dir.join(format!("{name}.partial"));
        let mut file = std::fs::File::create(&partial)?;
        file.write_all(text.as_bytes())?;
        std::fs::rename(partial, self.dir.join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let progress = Progress::in_dir(dir.path());
        assert_eq!(progress.start(), BEGIN);
        let later = BEGIN.plus_millis(90_000);
        progress.note(later).unwrap();
        assert_eq!(Progress::in_dir(dir.path()).start(), later);
        assert!(!progress.finished());
        progress.finish().unwrap();
        assert!(progress.finished());
        progress.forget().unwrap();
        assert!(!progress.finished());
        assert_eq!(progress.start(), BEGIN);
    }

    #[test]
    fn never_goes_back() {
        let clock = SimulatedClock::at(BEGIN);
        clock.advance(BEGIN.plus_millis(5));
        clock.advance(BEGIN);
        assert_eq!(clock.now(), BEGIN.plus_millis(5));
    }
}
