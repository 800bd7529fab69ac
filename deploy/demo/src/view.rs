//! The terminal: a table that is drawn anew a few times a second, or, where there is no terminal, a
//! plain line now and then. Both go to stderr; stdout is for the summary.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use console::{Term, style};
use meshwork_model::mesh::alert::AlertState;
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::time::{MINUTE_MS, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::flights::Product;
use crate::live::{Live, Shown};

/// How the month's course is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A table, drawn anew.
    Table,
    /// A line for each step of the clock.
    Lines,
}

/// Draws until `done`.
pub(crate) async fn show(live: Arc<Live>, style: Style, done: CancellationToken) {
    /// Four times a second is alive to the eye and costs nothing.
    const EVERY: Duration = Duration::from_millis(250);
    let term = Term::stderr();
    let mut drawn = 0;
    let mut last = Timestamp::from_millis(0);
    loop {
        let ended = done.is_cancelled();
        let shown = live.shown();
        match style {
            Style::Table => {
                let table = table(&shown);
                // A terminal that is gone has nobody to tell.
                let _ = term.clear_last_lines(drawn);
                let _ = term.write_str(&table);
                drawn = table.lines().count();
            }
            Style::Lines if shown.clock != last => {
                let published: u64 = shown.published.values().sum();
                let firing = shown
                    .alerts
                    .iter()
                    .filter(|a| a.state == AlertState::Firing)
                    .count();
                let line = format!(
                    "demo: clock {} published {published} refused {} firing {firing}",
                    shown.clock, shown.refused
                );
                let _ = term.write_line(&line);
                last = shown.clock;
            }
            Style::Lines => {}
        }
        if ended {
            return;
        }
        tokio::select! {
            () = done.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn table(shown: &Shown) -> String {
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = writeln!(text, "{}  {}", style("data time").dim(), shown.clock);
    let head = format!(
        "{:<26} {:>9} {:>8} {:>12}  {:<16} {}",
        "product", "published", "refused", "age", "state", "budget left"
    );
    let _ = writeln!(text, "{}", style(head).dim());
    for product in Product::ALL {
        let published = shown.published.get(&product).copied().unwrap_or_default();
        let refused = if product == Product::Departures {
            shown.refused
        } else {
            0
        };
        let prefix = urn_prefix(product);
        let status = shown
            .statuses
            .iter()
            .find(|(slo, _)| slo.starts_with(&prefix));
        let (age, state, left) = status.map_or_else(Default::default, |(_, s)| {
            let age = s.lag_ms.map(age).unwrap_or_default();
            (
                age,
                s.state.into(),
                share(s.budget_left_millionths, s.budget_millionths),
            )
        });
        let state: State = state;
        let _ = writeln!(
            text,
            "{:<26} {published:>9} {refused:>8} {age:>12}  {} {left}",
            product.name(),
            state.cell()
        );
    }
    for alert in &shown.alerts {
        let (word, until) = match alert.resolved_at {
            Some(at) => (style("resolved").green(), format!(" until {at}")),
            None => (style("FIRING").red().bold(), String::new()),
        };
        let _ = writeln!(
            text,
            "alert {word} {} since {}{until}",
            alert.slo, alert.fired_at
        );
    }
    text
}

fn urn_prefix(product: Product) -> String {
    format!("urn:meshwork:{}:", product.name().replace('.', ":"))
}

/// A state as word and shape, so that colour is never alone.
#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Unknown,
    Known(SliceState),
}

impl From<SliceState> for State {
    fn from(state: SliceState) -> Self {
        Self::Known(state)
    }
}

impl State {
    fn cell(self) -> String {
        let Self::Known(state) = self else {
            return format!("{:<16}", "○ no minute yet");
        };
        match state {
            SliceState::Good => style(format!("{:<16}", "● good")).green().to_string(),
            SliceState::Bad => style(format!("{:<16}", "▲ late")).red().bold().to_string(),
            SliceState::ExpectedQuiet => format!("{:<16}", "– expected quiet"),
            SliceState::Unmeasurable => style(format!("{:<16}", "? unmeasurable"))
                .yellow()
                .to_string(),
        }
    }
}

fn age(ms: i64) -> String {
    let minutes = ms / MINUTE_MS;
    if minutes >= 120 {
        format!("{} h {:02} min", minutes / 60, minutes % 60)
    } else {
        format!("{minutes} min")
    }
}

fn share(left: i64, whole: i64) -> String {
    if whole <= 0 {
        return String::new();
    }
    // Cut, not rounded: 99.97 % never becomes 100 %.
    let hundredths = i128::from(left) * 10_000 / i128::from(whole);
    format!("{}.{:02} %", hundredths / 100, (hundredths % 100).abs())
}
