//! What is made of files, and made again when they change.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::error::FileError;

/// Most bytes of one file: a bundle of a few hundred authorities, or tens of thousands of users.
const MAX_FILE: u64 = 4 << 20;

/// Files are not looked at more often.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// A file that is named in the configuration, and its bytes.
pub type File<'f> = (&'f Named, &'f [u8]);

/// A file, and where the configuration names it.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its path.
    pub file: PathBuf,
    /// Such as `registry.service.tls.key_file`.
    pub key: &'static str,
}

impl Named {
    /// An error: the file does not hold what it should.
    pub fn wrong(&self, why: impl Into<String>, cure: &'static str) -> FileError {
        FileError::Content {
            file: self.file.clone(),
            key: self.key,
            why: why.into(),
            cure,
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// It can't be read, or is larger than 4 MiB.
    pub fn read(&self) -> Result<Vec<u8>, FileError> {
        let unreadable = |why| FileError::Unreadable {
            file: self.file.clone(),
            key: self.key,
            why,
        };
        let mut bytes = Vec::new();
        std::fs::File::open(&self.file)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
            .map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(FileError::TooLong {
                file: self.file.clone(),
                key: self.key,
                limit: MAX_FILE,
            });
        }
        Ok(bytes)
    }
}

/// What a look at files has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// What was there before.
    Same,
    /// Something new, which holds from now on.
    New,
    /// Something that can't be used; what was there before holds.
    Unusable,
}

type Build<T> = dyn Fn(&[Vec<u8>]) -> Result<T, FileError> + Send + Sync;

/// What the files last held that was of use. Files are compared by their bytes, so that it does
/// not matter how they are replaced: in place, by rename, or by a link that is turned.
pub struct Reloaded<T> {
    files: Vec<Named>,
    build: Box<Build<T>>,
    current: ArcSwap<T>,
    /// Counts what was built.
    generation: AtomicU64,
    /// What was last seen, whether of use or not: what is wrong is said once.
    seen: Mutex<Vec<Vec<u8>>>,
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the files for the first time. `build` is given their bytes in the order of `files`.
    ///
    /// # Errors
    /// A file that can't be read, or that does not hold what it should.
    pub fn open(
        files: Vec<Named>,
        build: impl Fn(&[Vec<u8>]) -> Result<T, FileError> + Send + Sync + 'static,
    ) -> Result<Self, FileError> {
        let bytes = files
            .iter()
            .map(Named::read)
            .collect::<Result<Vec<_>, _>>()?;
        let first = build(&bytes)?;
        Ok(Self {
            files,
            build: Box::new(build),
            current: ArcSwap::from_pointee(first),
            generation: AtomicU64::new(0),
            seen: Mutex::new(bytes),
        })
    }

    /// What holds now.
    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Changes after [`Self::current`] does.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Looks at the files.
    pub fn look(&self) -> Look {
        let bytes = match self
            .files
            .iter()
            .map(Named::read)
            .collect::<Result<Vec<_>, _>>()
        {
            Ok(bytes) => bytes,
            Err(error) => {
                // In the middle of being replaced, or gone: said each time, for it must be mended
                // before the next start.
                tracing::warn!(%error, "a file can't be read again; what it held before is used");
                return Look::Unusable;
            }
        };
        let mut seen = self.seen.lock();
        if *seen == bytes {
            return Look::Same;
        }
        let built = (self.build)(&bytes);
        *seen = bytes;
        match built {
            Ok(new) => {
                self.current.store(Arc::new(new));
                self.generation.fetch_add(1, Ordering::AcqRel);
                let files: Vec<_> = self
                    .files
                    .iter()
                    .map(|file| file.file.display().to_string())
                    .collect();
                tracing::info!(?files, "files have changed and are used as they are now");
                Look::New
            }
            Err(error) => {
                tracing::error!(%error, "a file has changed and can't be used; what it held before is used");
                Look::Unusable
            }
        }
    }

    /// Looks every `interval` (1 s at least) until `stop`, and tells `looked` each time.
    pub async fn watch(
        self: Arc<Self>,
        interval: Duration,
        mut looked: impl FnMut(Look) + Send,
        stop: CancellationToken,
    ) {
        let mut ticks = tokio::time::interval(interval.max(MIN_INTERVAL));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let this = Arc::clone(&self);
            // A file on a disk that hangs must hold nobody up.
            if let Ok(look) = tokio::task::spawn_blocking(move || this.look()).await {
                looked(look);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_content_holds_and_what_is_of_no_use_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("n");
        let named = Named {
            file: file.clone(),
            key: "a.b",
        };
        let open = || {
            let named = named.clone();
            Reloaded::open(vec![named.clone()], move |bytes| {
                let text = String::from_utf8_lossy(&bytes[0]);
                text.trim()
                    .parse::<u32>()
                    .map_err(|error| named.wrong(error.to_string(), "write a number"))
            })
        };
        let error = open().err().unwrap().to_string();
        assert!(
            error.contains("a.b") && error.contains(file.to_str().unwrap()),
            "{error}"
        );
        std::fs::write(&file, "x").unwrap();
        let error = open().err().unwrap().to_string();
        assert!(error.ends_with("write a number"), "{error}");
        std::fs::write(&file, "1").unwrap();
        let number = open().unwrap();
        assert_eq!(*number.current(), 1);
        assert_eq!(number.look(), Look::Same);
        std::fs::write(&file, "x").unwrap();
        assert_eq!(number.look(), Look::Unusable);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(number.look(), Look::Unusable);
        assert_eq!(*number.current(), 1);
        let other = dir.path().join("other");
        std::fs::write(&other, "2").unwrap();
        std::fs::rename(other, &file).unwrap();
        assert_eq!(number.look(), Look::New);
        assert_eq!(*number.current(), 2);
        let long = vec![b'1'; usize::try_from(MAX_FILE).unwrap() + 1];
        std::fs::write(&file, long).unwrap();
        assert_eq!(number.look(), Look::Unusable);
        assert!(matches!(open(), Err(FileError::TooLong { .. })));
    }
}
