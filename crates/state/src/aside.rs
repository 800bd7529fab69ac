//! Setting an unreadable store aside: `<dir>.corrupt-<n>`, a bounded number of them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Renames `dir` to the next free `<dir>.corrupt-<n>` and removes the oldest beyond `keep`.
pub(crate) fn set_aside(dir: &Path, keep: usize) -> io::Result<PathBuf> {
    let mut taken = earlier(dir)?;
    let next = taken.last().map_or(1, |(n, _)| n.saturating_add(1));
    let to = with_suffix(dir, next);
    fs::rename(dir, &to)?;
    taken.push((next, to.clone()));
    // At least the one just set aside stays.
    let excess = taken.len().saturating_sub(keep.max(1));
    for (_, old) in taken.iter().take(excess) {
        fs::remove_dir_all(old)?;
    }
    Ok(to)
}

fn with_suffix(dir: &Path, n: u64) -> PathBuf {
    let mut name: OsString = dir.as_os_str().to_owned();
    name.push(format!(".corrupt-{n}"));
    PathBuf::from(name)
}

/// Stores of this name that were set aside before, oldest first.
fn earlier(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(Vec::new());
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let prefix = format!("{}.corrupt-", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name
            .to_string_lossy()
            .strip_prefix(&prefix)
            .and_then(|n| n.parse().ok());
        if let Some(number) = number {
            found.push((number, entry.path()));
        }
    }
    found.sort_unstable();
    Ok(found)
}
