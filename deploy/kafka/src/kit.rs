//! The embedded script with what it reads, and the fetch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{DevKafkaError, io};

/// The version of Apache Kafka that is fetched and run.
pub const KAFKA_VERSION: &str = "4.2.2";

const SCRIPT: &str = "kafka.sh";
const FILES: [(&str, &str); 3] = [
    (SCRIPT, include_str!("../kafka.sh")),
    ("pom.xml", include_str!("../pom.xml")),
    ("checksums.sha256", include_str!("../checksums.sha256")),
];

/// Writes the script and its files to `dir/kit` and gives the script's path.
pub(crate) fn unpack(dir: &Path) -> Result<PathBuf, DevKafkaError> {
    let kit = dir.join("kit");
    fs::create_dir_all(&kit).map_err(io(format!("create {}", kit.display())))?;
    for (name, text) in FILES {
        let path = kit.join(name);
        let part = kit.join(format!("{name}.{}", std::process::id()));
        fs::write(&part, text)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(io(format!("write {}", path.display())))?;
    }
    Ok(kit.join(SCRIPT))
}

/// Runs `kafka.sh fetch`; gives the folder of the jars.
pub(crate) fn fetch_with(script: &Path) -> Result<PathBuf, DevKafkaError> {
    tracing::debug!(
        version = KAFKA_VERSION,
        "looking for Apache Kafka in the cache"
    );
    let output = Command::new("sh")
        .arg(script)
        .arg("fetch")
        .stdin(Stdio::null())
        .output()
        .map_err(io("run sh"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(DevKafkaError::Fetch {
            said: last_lines(&said, 12),
        });
    }
    let libs = String::from_utf8_lossy(&output.stdout);
    Ok(PathBuf::from(libs.trim_end()))
}

/// Brings Apache Kafka into the user's cache unless it is there with the right checksums, and gives
/// the folder of its jars. A first time downloads 44 MB. Safe when several do it at once.
///
/// # Errors
/// [`DevKafkaError::Fetch`] names what to install, or says that Maven Central could not be reached
/// or that a checksum differs.
pub fn fetch() -> Result<PathBuf, DevKafkaError> {
    let dir = tempfile::tempdir().map_err(io("create a temporary directory"))?;
    fetch_with(&unpack(dir.path())?)
}

/// The last `n` lines of `text`.
pub(crate) fn last_lines(text: &str, n: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(n);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// The last `n` lines of the file at `path`, at most 16 KiB of it; empty if it can't be read.
pub(crate) fn tail(path: &Path, n: usize) -> String {
    const MOST: u64 = 16 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = fs::File::open(path)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()), n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kit_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let script = unpack(dir.path()).unwrap();
        assert_eq!(
            fs::read_to_string(script).unwrap(),
            include_str!("../kafka.sh")
        );
        let jars = include_str!("../checksums.sha256");
        assert!(jars.contains(&format!("kafka_2.13-{KAFKA_VERSION}.jar")));
        assert!(include_str!("../kafka.sh").contains(&format!("version={KAFKA_VERSION}")));
    }

    #[test]
    fn last_lines_are_the_last() {
        for (text, n, want) in [("", 3, ""), ("a", 3, "a"), ("a\nb\nc\n", 2, "b\nc")] {
            assert_eq!(last_lines(text, n), want);
        }
    }
}
