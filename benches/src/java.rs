//! What benches run in Java, fetched by `benches/java/fetch.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Whether there is a JDK, to compile the few lines with that start Kroxylicious.
pub(crate) fn has_jdk() -> bool {
    Command::new("javac")
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The directory with what is called so: jars in `libs`, classes and what was unpacked beside it.
///
/// # Errors
/// It is not in the cache and can't be fetched.
pub(crate) fn fetch(name: &str) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("java/fetch.sh");
    let output = Command::new(&script)
        .arg(name)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("can't run {}", script.display()))?;
    ensure!(
        output.status.success(),
        "{} {name} failed",
        script.display()
    );
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}
