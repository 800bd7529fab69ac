//! Two cores for all: the servers, the load and Kafka, whatever the machine has.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// While it lives, this process and all that it starts has the first two of its cores.
#[derive(Debug)]
pub(crate) struct TwoCores {
    before: String,
}

impl TwoCores {
    /// Takes them.
    ///
    /// # Errors
    /// There is no `taskset` (package util-linux).
    pub(crate) fn take() -> Result<Self> {
        let said = taskset(&["-c", "-p", &own_pid()])?;
        let (_, before) = said.trim().rsplit_once(": ").context("no list of cores")?;
        let cores = cores(before);
        let two: Vec<String> = cores.iter().take(2).map(u32::to_string).collect();
        taskset(&["-a", "-c", "-p", &two.join(","), &own_pid()])?;
        Ok(Self {
            before: before.to_owned(),
        })
    }
}

impl Drop for TwoCores {
    fn drop(&mut self) {
        // They were its before, so it gets them again.
        let _ = taskset(&["-a", "-c", "-p", &self.before, &own_pid()]);
    }
}

fn own_pid() -> String {
    std::process::id().to_string()
}

fn taskset(arguments: &[&str]) -> Result<String> {
    let output = Command::new("taskset")
        .args(arguments)
        .output()
        .context("taskset is needed: install util-linux")?;
    ensure!(
        output.status.success(),
        "taskset: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// 0, 2, 3 of `0,2-3`.
fn cores(list: &str) -> Vec<u32> {
    list.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(super::cores("0,2-4"), [0, 2, 3, 4]);
        assert_eq!(super::cores("0-1\n"), [0, 1]);
    }
}
