//! How answers and errors reach a person or a script: data on stdout, everything else on stderr.

use std::io::{ErrorKind, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::args::Output;

/// Prints an error and its causes once.
pub(crate) fn report(error: &anyhow::Error) {
    let mut stderr = std::io::stderr().lock();
    // Nobody is left to tell if stderr is gone.
    let _ = writeln!(stderr, "error: {error}");
    let mut last = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !last.ends_with(&cause) {
            let _ = writeln!(stderr, "  because {cause}");
        }
        last = cause;
    }
}

/// Whether a command failed only because nobody reads its output any more.
pub(crate) fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
            || cause
                .downcast_ref::<serde_json::Error>()
                .and_then(serde_json::Error::io_error_kind)
                == Some(ErrorKind::BrokenPipe)
    })
}

/// Rows to show in any of the formats.
pub(crate) struct Listing<'a, T> {
    /// Heads of the columns; those after `wide_from` are shown by `-o wide` only.
    pub(crate) heads: &'a [&'a str],
    /// First column that only `wide` shows.
    pub(crate) wide_from: usize,
    /// What the rows are of, for `json` and `yaml`.
    pub(crate) items: &'a [T],
    /// Cells of one item, as many as `heads`.
    pub(crate) cells: fn(&T) -> Vec<String>,
    /// Name of one item, for `-o name`.
    pub(crate) name: fn(&T) -> String,
}

impl<T: Serialize> Listing<'_, T> {
    /// Prints it.
    ///
    /// # Errors
    /// stdout is gone, or an item can't be written as JSON.
    pub(crate) fn print(&self, output: Output) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        match output {
            Output::Json => {
                serde_json::to_writer_pretty(&mut stdout, self.items)?;
                writeln!(stdout)?;
            }
            Output::Yaml => write!(stdout, "{}", serde_saphyr::to_string(&self.items)?)?,
            Output::Name => {
                for item in self.items {
                    writeln!(stdout, "{}", (self.name)(item))?;
                }
            }
            Output::Table | Output::Wide => {
                let columns = if matches!(output, Output::Wide) {
                    self.heads.len()
                } else {
                    self.wide_from.min(self.heads.len())
                };
                let mut table = plain_table();
                table.set_header(self.heads.iter().take(columns));
                for item in self.items {
                    table.add_row((self.cells)(item).into_iter().take(columns));
                }
                writeln!(stdout, "{}", trimmed(&table))?;
            }
        }
        Ok(())
    }
}

/// Columns by spaces alone: reads well, and can be cut with `awk`.
pub(crate) fn plain_table() -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table's lines without the blanks around them.
pub(crate) fn trimmed(table: &Table) -> String {
    table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Prints one value as JSON or YAML.
///
/// # Errors
/// stdout is gone, or the value can't be written.
pub(crate) fn print_value<T: Serialize>(value: &T, output: Output) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    if matches!(output, Output::Yaml) {
        write!(stdout, "{}", serde_saphyr::to_string(value)?)?;
    } else {
        serde_json::to_writer_pretty(&mut stdout, value)?;
        writeln!(stdout)?;
    }
    Ok(())
}

/// `1 h 30 min`, `4 min`, `12 s`: two units at most.
pub(crate) fn duration_in_words(ms: i64) -> String {
    let seconds = ms.div_euclid(1000).max(0);
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut rest = seconds;
    let mut words = Vec::new();
    for (unit, name) in units {
        let n = rest / unit;
        rest %= unit;
        if n > 0 {
            words.push(format!("{n} {name}"));
        }
        if words.len() == 2 {
            break;
        }
    }
    if words.is_empty() {
        "0 s".to_owned()
    } else {
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (ms, words) in [
            (0, "0 s"),
            (12_000, "12 s"),
            (5_400_000, "1 h 30 min"),
            (93_784_000, "1 d 2 h"),
            (-5, "0 s"),
        ] {
            assert_eq!(duration_in_words(ms), words);
        }
    }
}
