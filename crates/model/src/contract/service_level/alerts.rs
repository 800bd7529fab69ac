//! Whether a service level can alert, can be kept, and is not too touchy.

use crate::contract::Reader;
use crate::contract::duration::in_words;
use crate::contract::tree::Node;
use crate::finding::{Code, Level};
use crate::slo::firing::{self, Reach};
use crate::slo::{Cadence, Indicator, Slo};
use crate::time::MINUTE_MS;

fn percent(millionths: u32) -> String {
    let text = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Refuses what can never alert or never be kept, and shows what alerts on very little.
pub(super) fn check(reader: &mut Reader<'_>, node: &Node, slo: &Slo) {
    let value_at = node.get("value").map_or(node.at, |n| n.at);
    if let (Indicator::Freshness { within_ms }, Cadence::Every { period_ms }) =
        (slo.indicator, slo.cadence)
        && within_ms < period_ms
    {
        reader.error(
            Code::NeverMet,
            value_at,
            format!(
                "`{}`: data that comes every {} can't always be fresh within {}",
                slo.id,
                in_words(period_ms),
                in_words(within_ms)
            ),
            "allow at least the period and the time that delivery takes",
        );
        return;
    }
    let reach = firing::reach(slo);
    if let Some(never) = reach.iter().find(|r| !r.can_fire()) {
        reader.error(
            Code::NeverFires,
            node.at,
            never_fires(slo, never),
            &match firing::least_objective(slo) {
                Some(least) => format!(
                    "an objective of {} or more can alert, and so can a shorter window",
                    percent(least)
                ),
                None => "no objective can: the daily hours are too short".to_owned(),
            },
        );
        return;
    }
    if firing::has_schedule(slo)
        && let Some(first) = reach.first()
        && first.by_least
    {
        reader.remark(
            Level::Note,
            Code::Touchy,
            node.at,
            format!(
                "`{}`: {} % of the budget is less than {} minutes, so {} bad minutes within {} alert",
                slo.id,
                first.rule.budget_percent,
                first.rule.least,
                first.needs_long,
                in_words(first.rule.long_minutes * MINUTE_MS)
            ),
            "",
        );
    }
}

fn never_fires(slo: &Slo, never: &Reach) -> String {
    let rule = never.rule;
    let (needs, most, window) = if never.needs_long > never.most_long {
        (never.needs_long, never.most_long, rule.long_minutes)
    } else {
        (never.needs_short, never.most_short, rule.short_minutes)
    };
    format!(
        "`{}` can never alert: at {} over {} the {}.{}× rule needs {needs} bad minutes within {}, \
         which has at most {most} that are due",
        slo.id,
        percent(slo.objective_millionths),
        in_words(slo.window_ms),
        rule.burn_tenths / 10,
        rule.burn_tenths % 10,
        in_words(window * MINUTE_MS)
    )
}
