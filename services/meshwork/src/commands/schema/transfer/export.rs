//! `meshwork schema export`. Texts go to a temporary file first, since the order is known only when
//! all have been read; in memory there are some 200 bytes for each version.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use meshwork_model::text::counted;
use meshwork_model::time::{Clock as _, WallClock};
use meshwork_registry_client::{RegistryClient, RegistryClientError, Shown, StoredVersion};

use super::super::super::Exit;
use super::super::graphs::{context_of, sibling};
use super::super::look::subjects;
use super::super::many::each;
use super::order::order;
use super::portable::{ConfigLine, Counts, FORMAT, Header, Line, ModeLine, in_words};
use crate::args::ExportArgs;
use crate::config::Config;

/// Versions under way between registry and file.
const CHUNK: usize = 500;

/// The scope whose configuration and mode hold in every context.
const EVERY_CONTEXT: &str = ":.__GLOBAL:";

/// A version whose text is in the temporary file.
struct Kept {
    subject: usize,
    version: i32,
    id: i32,
    /// Referenced subjects and versions.
    refers_to: Vec<(String, i32)>,
    at: u64,
    length: usize,
}

/// What has been read so far.
struct Spool {
    file: std::fs::File,
    length: u64,
    subjects: Vec<String>,
    kept: Vec<Kept>,
    /// Places in `kept`.
    known: HashMap<(String, i32), usize>,
}

pub(crate) async fn export(args: &ExportArgs, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let names = names(&registry, args).await?;
    let mut spool = Spool {
        file: tempfile::tempfile().context("no temporary file can be made")?,
        length: 0,
        subjects: Vec::new(),
        kept: Vec::new(),
        known: HashMap::new(),
    };
    let everything = args.subjects.is_empty();
    spool.read(&registry, &names, args.deleted).await?;
    spool.read_references(&registry).await?;
    let counts = if args.output == Path::new("-") {
        let stdout = BufWriter::new(std::io::stdout().lock());
        write(stdout, &registry, &spool, args, everything).await?
    } else {
        write_file(&registry, &spool, args, everything).await?
    };
    eprintln!(
        "{} of {}, {} and {} of {}",
        counted(counts.versions, "version"),
        counted(
            spool.subjects.iter().collect::<BTreeSet<_>>().len(),
            "subject"
        ),
        counted(counts.configurations, "configuration"),
        counted(counts.modes, "mode"),
        registry.urls()
    );
    Ok(Exit::Done)
}

async fn names(registry: &RegistryClient, args: &ExportArgs) -> anyhow::Result<BTreeSet<String>> {
    let all = [String::new()];
    let prefixes = if args.subjects.is_empty() {
        all.as_slice()
    } else {
        args.subjects.as_slice()
    };
    let mut names = BTreeSet::new();
    for prefix in prefixes {
        names.extend(subjects(registry, prefix, args.deleted, 0, usize::MAX).await?);
    }
    Ok(names)
}

impl Spool {
    /// Reads all versions of the subjects.
    async fn read(
        &mut self,
        registry: &RegistryClient,
        names: &BTreeSet<String>,
        deleted: bool,
    ) -> anyhow::Result<()> {
        let names: Vec<&String> = names.iter().collect();
        for names in names.chunks(CHUNK) {
            let numbers = each(names.iter().copied().cloned(), |name| {
                let registry = registry.clone();
                async move {
                    let live = registry.version_numbers(&name, false).await?;
                    let live = live.unwrap_or_default();
                    let all = if deleted {
                        let all = registry.version_numbers(&name, true).await?;
                        all.unwrap_or_default()
                    } else {
                        live.clone()
                    };
                    let marked: Vec<(i32, bool)> = all
                        .into_iter()
                        .map(|number| (number, !live.contains(&number)))
                        .collect();
                    Ok((name, marked))
                }
            })
            .await?;
            let wanted: Vec<(String, i32, bool)> = numbers
                .into_iter()
                .flat_map(|(name, numbers)| {
                    let one = move |(number, deleted)| (name.clone(), number, deleted);
                    numbers.into_iter().map(one)
                })
                .collect();
            self.fetch(registry, wanted).await?;
        }
        Ok(())
    }

    /// Reads what is referred to and not among them yet.
    async fn read_references(&mut self, registry: &RegistryClient) -> anyhow::Result<()> {
        let mut from = 0;
        while from < self.kept.len() {
            let wanted: HashSet<(String, i32)> = self
                .kept
                .iter()
                .skip(from)
                .flat_map(|kept| kept.refers_to.iter().cloned())
                .filter(|place| !self.known.contains_key(place))
                .collect();
            from = self.kept.len();
            let wanted = wanted
                .into_iter()
                .map(|(name, number)| (name, number, false));
            self.fetch(registry, wanted.collect()).await?;
        }
        Ok(())
    }

    async fn fetch(
        &mut self,
        registry: &RegistryClient,
        wanted: Vec<(String, i32, bool)>,
    ) -> anyhow::Result<()> {
        for wanted in wanted.chunks(CHUNK) {
            let found = each(wanted.iter().cloned(), |(name, number, deleted)| {
                let registry = registry.clone();
                async move {
                    let shown = Shown {
                        deleted: true,
                        resolved: false,
                    };
                    let found = registry
                        .stored_version(&name, &number.to_string(), shown)
                        .await?;
                    Ok((name, number, deleted, found))
                }
            })
            .await?;
            for (name, number, deleted, found) in found {
                let Some(mut version) = found else {
                    eprintln!("version {number} of {name} was deleted meanwhile");
                    continue;
                };
                if version.subject != name {
                    eprintln!(
                        "{name} is an alias of {}: versions of its own can't be read, and are left \
                         out",
                        version.subject
                    );
                    continue;
                }
                version.deleted = (deleted || version.deleted == Some(true)).then_some(true);
                self.keep(version)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, version: StoredVersion) -> anyhow::Result<()> {
        let place = (version.subject.clone(), version.version);
        if self.known.contains_key(&place) {
            return Ok(());
        }
        if self.subjects.last() != Some(&version.subject) {
            self.subjects.push(version.subject.clone());
        }
        let (version_number, id) = (version.version, version.id);
        let refers_to = version
            .references
            .iter()
            .map(|r| (sibling(&version.subject, &r.subject), r.version))
            .collect();
        let mut line = serde_json::to_vec(&Line::Version(version))?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .context("the temporary file can't be written")?;
        self.known.insert(place, self.kept.len());
        self.kept.push(Kept {
            subject: self.subjects.len().saturating_sub(1),
            version: version_number,
            id,
            refers_to,
            at: self.length,
            length: line.len(),
        });
        self.length += line.len() as u64;
        Ok(())
    }

    fn name(&self, kept: &Kept) -> &str {
        self.subjects.get(kept.subject).map_or("", String::as_str)
    }

    /// Places in `kept`, in an order in which they can be registered.
    fn ordered(&self) -> Vec<usize> {
        let mut before = Vec::new();
        let mut last: HashMap<&str, (i32, usize)> = HashMap::new();
        let mut by_version: Vec<usize> = (0..self.kept.len()).collect();
        by_version.sort_by_key(|at| self.kept.get(*at).map(|kept| kept.version));
        for at in by_version {
            let Some(kept) = self.kept.get(at) else {
                continue;
            };
            if let Some((_, earlier)) = last.insert(self.name(kept), (kept.version, at)) {
                before.push((earlier, at));
            }
            let referred = kept.refers_to.iter();
            before.extend(referred.filter_map(|place| Some((*self.known.get(place)?, at))));
        }
        let (ordered, circle) = order(self.kept.len(), &before, |at| {
            self.kept.get(at).map(|kept| {
                let name = self.name(kept);
                (context_of(name), kept.id, name, kept.version)
            })
        });
        if circle > 0 {
            eprintln!("{circle} versions refer to each other in a circle; they come last, by id");
        }
        ordered
    }
}

/// Writes beside the file first, so that it is whole or not there.
async fn write_file(
    registry: &RegistryClient,
    spool: &Spool,
    args: &ExportArgs,
    everything: bool,
) -> anyhow::Result<Counts> {
    let path = &args.output;
    let dir = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let failed = || format!("{} can't be written", path.display());
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(failed)?;
    let out = BufWriter::new(file.as_file_mut());
    let counts = write(out, registry, spool, args, everything).await?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(counts)
}

async fn write(
    mut out: impl Write,
    registry: &RegistryClient,
    spool: &Spool,
    args: &ExportArgs,
    everything: bool,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let header = Header {
        format: FORMAT,
        source: registry.urls(),
        at: WallClock.now().to_string(),
        deleted: args.deleted,
    };
    put(&mut out, &Line::Header(header))?;
    for at in spool.ordered() {
        let Some(kept) = spool.kept.get(at) else {
            continue;
        };
        let mut line = vec![0; kept.length];
        spool
            .file
            .read_exact_at(&mut line, kept.at)
            .context("the temporary file can't be read")?;
        out.write_all(&line)?;
        counts.versions += 1;
    }
    let scopes = scopes(registry, spool, everything).await?;
    for scopes in scopes.chunks(CHUNK) {
        let found = each(scopes.iter().cloned(), |scope| {
            let registry = registry.clone();
            async move {
                Ok(ConfigLine {
                    config: none_where_refused(registry.settings(scope.as_deref()).await)?
                        .unwrap_or_default(),
                    scope,
                })
            }
        })
        .await?;
        for line in found.into_iter().filter(is_said) {
            put(&mut out, &Line::Config(line))?;
            counts.configurations += 1;
        }
    }
    for scopes in scopes.chunks(CHUNK) {
        let found = each(scopes.iter().cloned(), |scope| {
            let registry = registry.clone();
            async move {
                let mode = none_where_refused(registry.mode(scope.as_deref()).await)?;
                Ok(mode.map(|mode| ModeLine { scope, mode }))
            }
        })
        .await?;
        for line in found.into_iter().flatten() {
            // What all contexts have from the start.
            if line.scope.as_deref() == Some(EVERY_CONTEXT) && line.mode == "READWRITE" {
                continue;
            }
            if matches!(line.mode.as_str(), "IMPORT" | "FORWARD") {
                eprintln!(
                    "{} is in mode {}, which is not taken along",
                    in_words(line.scope.as_deref()),
                    line.mode
                );
                continue;
            }
            put(&mut out, &Line::Mode(line))?;
            counts.modes += 1;
        }
    }
    put(&mut out, &Line::End(counts))?;
    out.flush()?;
    Ok(counts)
}

/// Whether a configuration says anything that is not so from the start: a registry answers for all
/// contexts though nobody has set anything there.
fn is_said(line: &ConfigLine) -> bool {
    let default = || {
        let level = line.config.get("compatibilityLevel");
        line.config.len() == 1 && level.is_some_and(|level| level == "BACKWARD")
    };
    let everywhere = line.scope.as_deref() == Some(EVERY_CONTEXT);
    !(line.config.is_empty() || everywhere && default())
}

fn put(out: &mut impl Write, line: &Line) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// The subjects, and where everything is exported, the contexts and the registry itself.
async fn scopes(
    registry: &RegistryClient,
    spool: &Spool,
    everything: bool,
) -> anyhow::Result<Vec<Option<String>>> {
    let mut scopes = Vec::new();
    if everything {
        scopes.push(None);
        scopes.push(Some(EVERY_CONTEXT.to_owned()));
        let contexts = registry.contexts().await?;
        let named = contexts.into_iter().filter(|context| context != ".");
        scopes.extend(named.map(|context| Some(format!(":{context}:"))));
    }
    let subjects: BTreeSet<&String> = spool.subjects.iter().collect();
    scopes.extend(subjects.into_iter().map(|subject| Some(subject.clone())));
    Ok(scopes)
}

/// Old registries don't know every kind of scope.
fn none_where_refused<T>(
    answer: Result<Option<T>, RegistryClientError>,
) -> Result<Option<T>, RegistryClientError> {
    match answer {
        Err(RegistryClientError::Refused {
            code: 42_208 | 42_201 | 422,
            ..
        }) => Ok(None),
        answer => answer,
    }
}
