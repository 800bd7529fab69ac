//! Contracts and their schemas as files: `<name>.odcs.yaml`, beside it `<name>.avsc` for the value
//! and, where the key is Avro, `<name>.key.avsc`.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use meshwork_model::finding::{Code, Finding, Findings};

/// Largest schema file, bytes: an announcement carries it beside the contract in one record.
const SCHEMA_BYTES: u64 = 384 * 1024;
/// Largest contract file, bytes; the reader says more about it.
const CONTRACT_BYTES: u64 = meshwork_model::contract::tree::MAX_BYTES as u64;
/// Deepest folder below the one that was named.
const MAX_DEPTH: usize = 8;
/// Most contracts of one command.
const MAX_CONTRACTS: usize = 10_000;
/// Endings of contract files, longest first.
const ENDINGS: [&str; 4] = [".odcs.yaml", ".odcs.yml", ".yaml", ".yml"];

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as it is shown.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A contract and the schemas beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContractFiles {
    /// The contract.
    pub contract: SourceFile,
    /// The value's schema. None: it could not be read, and a finding says so.
    pub value_schema: Option<SourceFile>,
    /// The key's schema, where there is one.
    pub key_schema: Option<SourceFile>,
}

/// Reads the contracts at `paths`: files, or folders whose `*.odcs.yaml` are taken, also those of
/// folders within, at most 8 deep and 10,000 in all. Sorted by path. What can't be read is in the
/// findings.
#[must_use]
pub fn load(paths: &[PathBuf]) -> (Vec<ContractFiles>, Findings) {
    let mut findings = Findings::new();
    let mut contracts = Vec::new();
    for path in paths {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                let before = contracts.len();
                collect(path, 0, &mut contracts, &mut findings);
                if contracts.len() == before {
                    findings.push(
                        file_error(
                            path,
                            "the folder holds no contract (*.odcs.yaml)".to_owned(),
                        )
                        .help("name the file, or end its name in .odcs.yaml"),
                    );
                }
            }
            Ok(_) => contracts.push(path.clone()),
            Err(error) => findings.push(file_error(path, error.to_string())),
        }
    }
    contracts.sort();
    contracts.dedup();
    contracts.truncate(MAX_CONTRACTS);
    let files = contracts
        .iter()
        .filter_map(|path| load_one(path, &mut findings))
        .collect();
    (files, findings)
}

fn file_error(path: &Path, why: String) -> Finding {
    Finding::error(Code::File, &path.display().to_string(), None, why)
}

fn collect(folder: &Path, depth: usize, contracts: &mut Vec<PathBuf>, findings: &mut Findings) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            findings.push(file_error(folder, error.to_string()));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || contracts.len() >= MAX_CONTRACTS {
            continue;
        }
        // Links to folders are not followed: they may go in circles.
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            if depth < MAX_DEPTH {
                collect(&path, depth + 1, contracts, findings);
            }
        } else if name.ends_with(".odcs.yaml") || name.ends_with(".odcs.yml") {
            contracts.push(path);
        }
    }
}

fn load_one(path: &Path, findings: &mut Findings) -> Option<ContractFiles> {
    let contract = read(path, CONTRACT_BYTES, findings)?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    let Some(stem) = ENDINGS.iter().find_map(|e| name.strip_suffix(e)) else {
        findings.push(
            file_error(path, "a contract is a YAML file".to_owned())
                .help("name it <domain>.<product>.odcs.yaml"),
        );
        return None;
    };
    let value_path = path.with_file_name(format!("{stem}.avsc"));
    let key_path = path.with_file_name(format!("{stem}.key.avsc"));
    let value_schema = if value_path.exists() {
        read(&value_path, SCHEMA_BYTES, findings)
    } else {
        findings.push(
            Finding::error(
                Code::Schema,
                &contract.path,
                None,
                format!("the Avro schema `{}` is missing", value_path.display()),
            )
            .help("write it beside the contract"),
        );
        None
    };
    let key_schema = if key_path.exists() {
        read(&key_path, SCHEMA_BYTES, findings)
    } else {
        None
    };
    Some(ContractFiles {
        contract,
        value_schema,
        key_schema,
    })
}

/// Reads at most `limit` bytes of UTF-8.
fn read(path: &Path, limit: u64, findings: &mut Findings) -> Option<SourceFile> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    let too_large = u64::try_from(bytes.len()).is_ok_and(|n| n > limit);
    let why = match (read, too_large) {
        (Err(error), _) => error.to_string(),
        (_, true) => {
            format!("the file has more than {limit} bytes, which is the most that is read")
        }
        _ => match String::from_utf8(bytes) {
            Ok(text) => {
                return Some(SourceFile {
                    path: path.display().to_string(),
                    text,
                });
            }
            Err(error) => format!(
                "not UTF-8: byte {} can't be read",
                error.utf8_error().valid_up_to()
            ),
        },
    };
    findings.push(file_error(path, why));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_contracts_with_the_schemas_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b.odcs.yaml", b"b");
        write("b.avsc", b"{}");
        write("b.key.avsc", b"\"string\"");
        write("deep/a.odcs.yml", b"a");
        write("deep/a.avsc", b"\xff");
        write("other.yaml", b"x");
        write(".hidden/c.odcs.yaml", b"c");
        let (files, findings) = load(&[folder.path().to_owned()]);
        let texts: Vec<_> = files
            .iter()
            .map(|f| {
                (
                    f.contract.text.as_str(),
                    f.value_schema.is_some(),
                    f.key_schema.is_some(),
                )
            })
            .collect();
        assert_eq!(texts, [("b", true, true), ("a", false, false)]);
        assert_eq!(findings.as_slice().len(), 1);
        assert!(findings.to_string().contains("byte 0"), "{findings}");

        // A file that is named is taken whatever its ending in YAML.
        let (files, findings) = load(&[folder.path().join("other.yaml")]);
        assert_eq!(files.len(), 1);
        assert!(findings.to_string().contains("other.avsc` is missing"));
        let (files, findings) = load(&[folder.path().join("none.yaml")]);
        assert!(files.is_empty() && findings.has_errors());
        let (_, findings) = load(&[folder.path().join("b.avsc")]);
        assert!(
            findings.to_string().contains("is a YAML file"),
            "{findings}"
        );
        let (_, findings) = load(&[folder.path().join(".hidden/..")]);
        assert!(findings.to_string().contains("byte 0"), "{findings}");
    }

    #[test]
    fn what_is_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.odcs.yaml");
        std::fs::write(&path, vec![b'#'; 600 * 1024]).unwrap();
        let (files, findings) = load(&[path]);
        assert!(files.is_empty());
        assert!(findings.to_string().contains("524288"), "{findings}");
    }
}
