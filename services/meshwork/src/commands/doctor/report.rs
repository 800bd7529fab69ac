//! What was found, and how it is shown.

use std::io::Write as _;

use serde::Serialize;

use meshwork_model::text::counted;

use crate::args::Output;
use crate::output::print_value;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Works, and should be looked at.
    Warning,
    /// Does not work, or will lose something.
    Error,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What is looked for; each has a page of this name in `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Code {
    /// No broker answers.
    NoBroker,
    /// A control topic is cleaned up in the wrong way.
    ControlTopic,
    /// Partitions and replicas of the registry's topic.
    SchemasTopic,
    /// More than one registry writes.
    TwoWriters,
    /// The registry can't be asked.
    RegistryUnreachable,
    /// The registry stands on another Kafka cluster.
    RegistryOtherCluster,
    /// The registry takes no ordinary registrations.
    RegistryMode,
    /// A stored schema that today's parser refuses.
    OldSchema,
    /// Clocks differ.
    ClockSkew,
    /// A role does not answer, or waits for something.
    RoleNotReady,
}

impl Code {
    #[cfg(test)]
    const ALL: [Self; 10] = [
        Self::NoBroker,
        Self::ControlTopic,
        Self::SchemasTopic,
        Self::TwoWriters,
        Self::RegistryUnreachable,
        Self::RegistryOtherCluster,
        Self::RegistryMode,
        Self::OldSchema,
        Self::ClockSkew,
        Self::RoleNotReady,
    ];

    /// Stable name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoBroker => "no-broker",
            Self::ControlTopic => "control-topic",
            Self::SchemasTopic => "schemas-topic",
            Self::TwoWriters => "two-writers",
            Self::RegistryUnreachable => "registry-unreachable",
            Self::RegistryOtherCluster => "registry-other-cluster",
            Self::RegistryMode => "registry-mode",
            Self::OldSchema => "old-schema",
            Self::ClockSkew => "clock-skew",
            Self::RoleNotReady => "role-not-ready",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked for.
    pub(super) code: Code,
    /// How it ended.
    pub(super) state: State,
    /// Where: an address, a topic, a version of a subject.
    #[serde(rename = "where")]
    pub(super) place: String,
    /// What was found.
    pub(super) found: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
    /// The page that tells more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<String>,
}

impl Finding {
    pub(super) fn ok(code: Code, place: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            code,
            state: State::Ok,
            place: place.into(),
            found: found.into(),
            mend: None,
            page: None,
        }
    }

    pub(super) fn warning(
        code: Code,
        place: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Warning,
            mend: Some(mend.into()),
            page: Some(format!("docs/errors/{}.md", code.as_str())),
            ..Self::ok(code, place, found)
        }
    }

    pub(super) fn error(
        code: Code,
        place: impl Into<String>,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Error,
            ..Self::warning(code, place, found, mend)
        }
    }
}

/// Prints the findings; `name` gives the codes of those that are not ok.
///
/// # Errors
/// stdout is gone.
pub(super) fn show(findings: &[Finding], output: Output) -> anyhow::Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_value(&findings, output);
    }
    let mut stdout = std::io::stdout().lock();
    if matches!(output, Output::Name) {
        for finding in findings.iter().filter(|f| f.state != State::Ok) {
            writeln!(stdout, "{}", finding.code.as_str())?;
        }
        return Ok(());
    }
    let width = |text: fn(&Finding) -> usize| findings.iter().map(text).max().unwrap_or_default();
    let (state, code) = (
        width(|f| f.state.word().len()),
        width(|f| f.code.as_str().len()),
    );
    let indent = " ".repeat(state + code + 4);
    for finding in findings {
        writeln!(
            stdout,
            "{:state$}  {:code$}  {}: {}",
            finding.state.word(),
            finding.code.as_str(),
            finding.place,
            finding.found
        )?;
        if let Some(mend) = &finding.mend {
            writeln!(stdout, "{indent}mend: {mend}")?;
        }
        if let Some(page) = &finding.page {
            writeln!(stdout, "{indent}page: {page}")?;
        }
    }
    let count = |state| findings.iter().filter(|f| f.state == state).count();
    eprintln!(
        "{}, {}",
        counted(count(State::Error), "error"),
        counted(count(State::Warning), "warning")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_and_its_line_in_the_table() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
        let table = std::fs::read_to_string(format!("{docs}/README.md")).unwrap();
        for code in Code::ALL {
            let name = code.as_str();
            assert_eq!(serde_json::to_value(code).unwrap(), name);
            let page = std::fs::read_to_string(format!("{docs}/{name}.md"));
            let page = page.unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(
                page.contains("**Cause.**") && page.contains("**Cure.**"),
                "{name}"
            );
            assert!(table.contains(&format!("({name}.md)")), "{name}");
        }
    }
}
