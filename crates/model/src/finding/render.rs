//! Findings as people and machines want them.

use crate::text::counted;
use std::fmt::Write as _;

use super::{Finding, Findings, Level};

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people at a terminal.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// `JUnit` XML, a test case for each file.
    Junit,
    /// GitHub's workflow commands, which mark the lines in a pull request.
    Github,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "human" => Ok(Self::Human),
            "json" => Ok(Self::Json),
            "junit" => Ok(Self::Junit),
            "github" => Ok(Self::Github),
            other => Err(format!(
                "output format `{other}` is not human, json, junit or github"
            )),
        }
    }
}

/// The findings of `files` (all that were checked, also those without a finding) as text that ends
/// with a line feed.
#[must_use]
pub fn render(format: Format, files: &[String], findings: &Findings) -> String {
    match format {
        Format::Human => human(files, findings),
        Format::Json => json(files, findings),
        Format::Junit => junit(files, findings),
        Format::Github => github(files, findings),
    }
}

fn tally(files: &[String], findings: &Findings) -> String {
    let errors = findings.count(Level::Error);
    let warnings = findings.count(Level::Warning);
    let checked = counted(files.len(), "file");
    match (errors, warnings) {
        (0, 0) => format!("{checked} checked, nothing wrong"),
        (0, w) => format!("{checked} checked, {}", counted(w, "warning")),
        (e, 0) => format!("{checked} checked, {}", counted(e, "error")),
        (e, w) => format!(
            "{checked} checked, {}, {}",
            counted(e, "error"),
            counted(w, "warning")
        ),
    }
}

fn human(files: &[String], findings: &Findings) -> String {
    let mut out = String::new();
    for finding in findings.as_slice() {
        let _ = writeln!(out, "{finding}");
        if let Some(help) = &finding.help {
            let _ = writeln!(out, "    help: {help}");
        }
    }
    let _ = writeln!(out, "{}", tally(files, findings));
    out
}

fn json(files: &[String], findings: &Findings) -> String {
    let list: Vec<serde_json::Value> = findings
        .as_slice()
        .iter()
        .map(|f| {
            serde_json::json!({
                "code": f.code.as_str(),
                "level": f.level.as_str(),
                "message": f.message,
                "file": f.file,
                "line": f.at.map(|at| at.line),
                "column": f.at.map(|at| at.column),
                "help": f.help,
            })
        })
        .collect();
    let document = serde_json::json!({
        "files": files,
        "errors": findings.count(Level::Error),
        "warnings": findings.count(Level::Warning),
        "findings": list,
    });
    format!("{document:#}\n")
}

/// Text for XML attributes and elements. Characters that XML 1.0 can't hold become U+FFFD.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn junit(files: &[String], findings: &Findings) -> String {
    let of = |file: &str| -> Vec<&Finding> {
        findings
            .as_slice()
            .iter()
            .filter(|f| f.file == file)
            .collect()
    };
    let mut all: Vec<&str> = files.iter().map(String::as_str).collect();
    for finding in findings.as_slice() {
        if !all.contains(&finding.file.as_str()) {
            all.push(&finding.file);
        }
    }
    let failed = all
        .iter()
        .filter(|file| of(file).iter().any(|f| f.level == Level::Error))
        .count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites>\n  <testsuite name=\"meshwork product check\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\">",
        all.len()
    );
    for file in all {
        let of_file = of(file);
        let _ = write!(
            out,
            "    <testcase classname=\"product.check\" name=\"{}\" file=\"{}\"",
            xml(file),
            xml(file)
        );
        if of_file.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        let lines = |errors: bool| -> Vec<String> {
            of_file
                .iter()
                .filter(|f| (f.level == Level::Error) == errors)
                .map(|f| match &f.help {
                    Some(help) => format!("{f} ({help})"),
                    None => f.to_string(),
                })
                .collect()
        };
        let errors = lines(true);
        // A test case has at most one failure: several are its text.
        if let Some(first) = of_file.iter().find(|f| f.level == Level::Error) {
            let _ = writeln!(
                out,
                "      <failure type=\"{}\" message=\"{}\">{}</failure>",
                first.code,
                xml(&first.message),
                xml(&errors.join("\n"))
            );
        }
        let rest = lines(false);
        if !rest.is_empty() {
            let _ = writeln!(
                out,
                "      <system-out>{}</system-out>",
                xml(&rest.join("\n"))
            );
        }
        out.push_str("    </testcase>\n");
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

/// Escapes as GitHub's toolkit does; properties also need `:` and `,`.
fn command(text: &str, property: bool) -> String {
    let text = text
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A");
    if property {
        text.replace(':', "%3A").replace(',', "%2C")
    } else {
        text
    }
}

fn github(files: &[String], findings: &Findings) -> String {
    let mut out = String::new();
    for finding in findings.as_slice() {
        let word = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "notice",
        };
        let _ = write!(out, "::{word} file={}", command(&finding.file, true));
        if let Some(at) = finding.at {
            let _ = write!(out, ",line={},col={}", at.line, at.column);
        }
        let mut message = finding.message.clone();
        if let Some(help) = &finding.help {
            let _ = write!(message, " ({help})");
        }
        let _ = writeln!(
            out,
            ",title={}::{}",
            command(finding.code.as_str(), true),
            command(&message, false)
        );
    }
    let _ = writeln!(out, "{}", tally(files, findings));
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Position};
    use super::*;

    fn sample() -> (Vec<String>, Findings) {
        let at = Some(Position { line: 3, column: 7 });
        let findings = [
            Finding::error(Code::Owner, "a,b:c.yaml", at, "no <owner>\n100%").help("add one"),
            Finding::error(Code::Touchy, "a,b:c.yaml", None, "touchy").at_level(Level::Warning),
        ]
        .into_iter()
        .collect();
        (
            vec!["a,b:c.yaml".to_owned(), "good.yaml".to_owned()],
            findings,
        )
    }

    #[test]
    fn human_says_where_what_and_how_to_mend() {
        let (files, findings) = sample();
        assert_eq!(
            render(Format::Human, &files, &findings),
            "a,b:c.yaml:3:7: error[owner]: no <owner>\n100%\n    help: add one\n\
             a,b:c.yaml: warning[touchy]: touchy\n2 files checked, 1 error, 1 warning\n"
        );
        assert_eq!(
            render(Format::Human, &files, &Findings::new()),
            "2 files checked, nothing wrong\n"
        );
    }

    #[test]
    fn github_marks_the_line_and_escapes_as_its_toolkit() {
        let (files, findings) = sample();
        assert_eq!(
            render(Format::Github, &files, &findings),
            "::error file=a%2Cb%3Ac.yaml,line=3,col=7,title=owner::no <owner>%0A100%25 (add one)\n\
             ::warning file=a%2Cb%3Ac.yaml,title=touchy::touchy\n2 files checked, 1 error, 1 warning\n"
        );
    }

    #[test]
    fn junit_has_a_case_for_each_file_and_escapes() {
        let (files, findings) = sample();
        let text = render(Format::Junit, &files, &findings);
        assert!(text.contains("tests=\"2\" failures=\"1\""), "{text}");
        assert!(
            text.contains("<failure type=\"owner\" message=\"no &lt;owner&gt;&#10;100%\">"),
            "{text}"
        );
        assert!(text.contains("name=\"good.yaml\" file=\"good.yaml\"/>"));
    }

    #[test]
    fn json_is_one_document() {
        let (files, findings) = sample();
        let text = render(Format::Json, &files, &findings);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["errors"], 1);
        assert_eq!(value["findings"][0]["line"], 3);
        assert_eq!(value["findings"][1]["line"], serde_json::Value::Null);
    }
}
