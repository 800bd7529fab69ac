//! What `export` wrote, read: checked whole before anything is done with it. Texts stay in the file;
//! in memory there are some 200 bytes for each version.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use meshwork_avro::{Guid, guid};
use meshwork_registry_client::StoredVersion;

use super::super::graphs::{context_of, sibling};
use super::portable::{ConfigLine, Counts, FORMAT, Line, MAX_LINE, ModeLine};

/// A version in the file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its subject.
    pub(super) subject: String,
    /// Its number.
    pub(super) version: i32,
    /// Its id.
    pub(super) id: i32,
    /// Whether it is soft-deleted.
    pub(super) deleted: bool,
    /// Entries that must be there before it.
    pub(super) after: Vec<usize>,
    at: u64,
    length: usize,
}

impl Entry {
    /// Subject and version, for messages.
    pub(super) fn name(&self) -> String {
        format!("{}@{}", self.subject, self.version)
    }
}

/// The file.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    /// Versions, in an order in which they can be registered.
    pub(super) entries: Vec<Entry>,
    /// Entries by subject, in order of their versions.
    pub(super) by_subject: HashMap<String, Vec<usize>>,
    /// Configurations.
    pub(super) configurations: Vec<ConfigLine>,
    /// Modes.
    pub(super) modes: Vec<ModeLine>,
    /// Subjects and versions that are referred to and not in the file, with who refers.
    pub(super) missing: Vec<((String, i32), String)>,
}

/// What is known while it is read.
struct Reading {
    source: Source,
    known: HashMap<(String, i32), usize>,
    /// Type and content of each id.
    contents: HashMap<(Option<String>, i32), (String, Guid, usize)>,
    ended: Option<Counts>,
}

impl Source {
    /// Reads a file; standard input, where it is `-`, goes to a temporary one first.
    ///
    /// # Errors
    /// It can't be read, is not what `export` writes, was cut short, or contradicts itself.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut file = if path == Path::new("-") {
            let mut file = tempfile::tempfile().context("no temporary file can be made")?;
            std::io::copy(&mut std::io::stdin().lock(), &mut file)
                .context("standard input can't be kept")?;
            file
        } else {
            File::open(path).with_context(|| format!("{} can't be read", path.display()))?
        };
        file.flush()?;
        file.seek(SeekFrom::Start(0))?;
        let mut reading = Reading {
            source: Self {
                file: file.try_clone()?,
                entries: Vec::new(),
                by_subject: HashMap::new(),
                configurations: Vec::new(),
                modes: Vec::new(),
                missing: Vec::new(),
            },
            known: HashMap::new(),
            contents: HashMap::new(),
            ended: None,
        };
        let mut input = BufReader::with_capacity(1 << 16, file);
        let (mut at, mut number) = (0_u64, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = input
                .by_ref()
                .take(MAX_LINE as u64 + 1)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                break;
            }
            number += 1;
            let place = || format!("{}:{number}", path.display());
            ensure!(
                read <= MAX_LINE,
                "{}: the line is longer than {} MiB",
                place(),
                MAX_LINE >> 20
            );
            if !line.trim_ascii().is_empty() {
                let parsed: Line = serde_json::from_slice(&line)
                    .with_context(|| format!("{}: this is no line of an export", place()))?;
                reading
                    .take(parsed, number == 1, at, read)
                    .with_context(place)?;
            }
            at += read as u64;
        }
        reading.finish(path)
    }

    /// A version with its text.
    ///
    /// # Errors
    /// The file was changed meanwhile.
    pub(super) fn version(&self, entry: &Entry) -> anyhow::Result<StoredVersion> {
        let mut line = vec![0; entry.length];
        self.file.read_exact_at(&mut line, entry.at)?;
        match serde_json::from_slice(&line)? {
            Line::Version(version)
                if version.subject == entry.subject && version.version == entry.version =>
            {
                Ok(version)
            }
            _ => bail!("the file was changed while it was read"),
        }
    }

    /// The contexts that versions are in.
    pub(super) fn contexts(&self) -> HashSet<Option<&str>> {
        self.by_subject
            .keys()
            .map(|name| context_of(name))
            .collect()
    }
}

impl Reading {
    fn take(&mut self, line: Line, first: bool, at: u64, length: usize) -> anyhow::Result<()> {
        ensure!(
            first == matches!(line, Line::Header(_)),
            "an export begins with its only header, and this does not"
        );
        ensure!(self.ended.is_none(), "there is more after the end");
        match line {
            Line::Header(header) => ensure!(
                header.format <= FORMAT,
                "form {} is newer than this program, which reads up to {FORMAT}",
                header.format
            ),
            Line::Version(version) => self.version(&version, at, length)?,
            Line::Config(config) => self.source.configurations.push(config),
            Line::Mode(mode) => self.source.modes.push(mode),
            Line::End(counts) => self.ended = Some(counts),
        }
        Ok(())
    }

    fn version(&mut self, version: &StoredVersion, at: u64, length: usize) -> anyhow::Result<()> {
        let place = (version.subject.clone(), version.version);
        let index = self.source.entries.len();
        ensure!(
            version.version > 0 && version.id > 0,
            "version {} with id {} of {}: both are from 1 on",
            version.version,
            version.id,
            version.subject
        );
        ensure!(
            self.known.insert(place, index).is_none(),
            "version {} of {} is there twice",
            version.version,
            version.subject
        );
        self.one_content(version, index)?;
        let mut after = Vec::new();
        for reference in &version.references {
            let place = (
                sibling(&version.subject, &reference.subject),
                reference.version,
            );
            match self.known.get(&place) {
                Some(at) => after.push(*at),
                None => {
                    let who = format!("{}@{}", version.subject, version.version);
                    self.source.missing.push((place, who));
                }
            }
        }
        let of_subject = self
            .source
            .by_subject
            .entry(version.subject.clone())
            .or_default();
        after.extend(of_subject.last());
        of_subject.push(index);
        self.source.entries.push(Entry {
            subject: version.subject.clone(),
            version: version.version,
            id: version.id,
            deleted: version.deleted == Some(true),
            after,
            at,
            length,
        });
        Ok(())
    }

    /// An id means one schema within its context.
    fn one_content(&mut self, version: &StoredVersion, index: usize) -> anyhow::Result<()> {
        let references: Vec<meshwork_avro::Reference> = version
            .references
            .iter()
            .map(|r| meshwork_avro::Reference {
                name: r.name.clone(),
                subject: r.subject.clone(),
                version: r.version,
            })
            .collect();
        let content = guid(&version.schema, &references, None, None);
        let key = (
            context_of(&version.subject).map(ToOwned::to_owned),
            version.id,
        );
        let kind = version.kind().to_owned();
        let entries = &self.source.entries;
        let (first_kind, first, at) = self
            .contents
            .entry(key)
            .or_insert_with(|| (kind.clone(), content, index));
        ensure!(
            *first == content && *first_kind == kind,
            "id {} is {}@{} here, and another schema as {}",
            version.id,
            version.subject,
            version.version,
            entries.get(*at).map(Entry::name).unwrap_or_default()
        );
        Ok(())
    }

    fn finish(mut self, path: &Path) -> anyhow::Result<Source> {
        let path = path.display();
        let Some(counts) = self.ended else {
            bail!("{path} was cut short: its end is missing");
        };
        let source = &mut self.source;
        let found = Counts {
            versions: source.entries.len() as u64,
            configurations: source.configurations.len() as u64,
            modes: source.modes.len() as u64,
        };
        ensure!(
            found == counts,
            "{path} has lost lines: {found:?} are there, and {counts:?} were written"
        );
        // One that comes later than what refers to it is in a circle, and there all the same.
        source
            .missing
            .retain(|(place, _)| !self.known.contains_key(place));
        for list in source.by_subject.values_mut() {
            let entries = &source.entries;
            list.sort_by_key(|at| entries.get(*at).map(|entry| entry.version));
        }
        Ok(self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"kind":"header","format":1,"source":"http://r","at":"2026-01-01T00:00:00Z","deleted":false}"#;

    fn version(subject: &str, version: i32, id: i32, text: &str) -> String {
        format!(
            r#"{{"kind":"version","subject":"{subject}","version":{version},"id":{id},"schema":"{text}"}}"#
        )
    }

    fn end(versions: u64) -> String {
        format!(r#"{{"kind":"end","versions":{versions},"configurations":0,"modes":0}}"#)
    }

    fn open(lines: &[&str]) -> anyhow::Result<Source> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        Source::open(file.path())
    }

    #[test]
    fn versions_are_found_again_and_wait_for_what_they_need() {
        let referrer = r#"{"kind":"version","subject":":.c:b","version":1,"id":2,"schema":"b","references":[{"name":"a","subject":"a","version":1},{"name":"x","subject":"gone","version":4}]}"#;
        let lines = [
            HEADER,
            &version(":.c:a", 1, 1, "é"),
            referrer,
            "",
            &version(":.c:a", 2, 3, "b"),
            &end(3),
        ];
        let source = open(&lines).unwrap();
        let after: Vec<&[usize]> = source.entries.iter().map(|e| e.after.as_slice()).collect();
        assert_eq!(after, [&[][..], &[0], &[0]]);
        assert_eq!(source.version(&source.entries[0]).unwrap().schema, "é");
        assert_eq!(source.version(&source.entries[2]).unwrap().id, 3);
        let missing: Vec<&str> = source.missing.iter().map(|(p, _)| p.0.as_str()).collect();
        assert_eq!(missing, [":.c:gone"]);
        assert_eq!(source.contexts(), HashSet::from([Some(".c")]));
    }

    #[test]
    fn what_is_not_whole_or_contradicts_itself_is_refused_with_its_line() {
        let one = version("s", 1, 1, "a");
        let other = version("t", 1, 1, "b");
        let newer = HEADER.replace("\"format\":1", "\"format\":2");
        for (lines, words) in [
            (vec![HEADER, &one], "cut short"),
            (vec![HEADER, &end(1)], "lost lines"),
            (vec![&one as &str, &end(1)], ":1"),
            (vec![HEADER, HEADER], ":2"),
            (vec![HEADER, &one, &one], "there twice"),
            (vec![HEADER, &one, &other], "another schema as s@1"),
            (vec![HEADER, "{\"kind\":\"other\"}"], ":2: this is no line"),
            (vec![&newer as &str], "newer than this program"),
            (vec![HEADER, &end(0), &one], "more after the end"),
            (vec![], "cut short"),
        ] {
            let error = format!("{:#}", open(&lines).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }
}
