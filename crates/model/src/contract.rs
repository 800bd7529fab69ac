//! A data product's contract: an Open Data Contract Standard file (ODCS 3.x YAML), read with the
//! place of everything in it.
//!
//! What ODCS has no field for is in `customProperties`: in 3.2 with `vendor: meshwork`, in 3.1 with
//! names such as `meshworkCompatibility`. Keys that Meshwork has no use for are kept as they are.

pub mod columns;
pub mod duration;
pub mod odcs;
pub mod service_level;
pub mod settings;
pub mod tree;

use sha2::{Digest as _, Sha256};

pub use columns::Column;
pub use odcs::Standard;
pub use service_level::DeclaredSlo;
pub use settings::Settings;
use tree::Node;

use crate::finding::{Code, Finding, Findings, Level, Position, nearest};
use crate::mesh::announcement::ProductStatus;
use crate::name::{ProductName, ProductVersion, Urn};

/// A contract that holds together. That it fits its Avro schema is another check.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The file's name, as given.
    pub file: String,
    /// The file, as written.
    pub text: String,
    /// All of it, also what Meshwork doesn't know.
    pub tree: Node,
    /// Version of the standard.
    pub standard: Standard,
    /// The product version.
    pub urn: Urn,
    /// The contract's version, `major.minor.patch`.
    pub version: String,
    /// Where the product is in its life; `active` if the contract doesn't say.
    pub status: ProductStatus,
    /// Who answers for it: the team member with the role `owner`.
    pub owner: String,
    /// The team's name.
    pub team: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Free words to find it by.
    pub tags: Vec<String>,
    /// Name of the one schema object.
    pub object: String,
    /// Its columns, in the order of the file.
    pub columns: Vec<Column>,
    /// Paths of the key columns by their position.
    pub key_columns: Vec<String>,
    /// Service levels that Meshwork measures.
    pub slos: Vec<DeclaredSlo>,
    /// How long records are kept, milliseconds; none: for ever.
    pub retention_ms: Option<i64>,
    /// What ODCS has no field for.
    pub settings: Settings,
    /// Warnings and notes; never an error.
    pub remarks: Findings,
}

impl Contract {
    /// Reads a contract of at most 512 KiB. `file` is only for messages.
    ///
    /// # Errors
    /// All that is wrong with it, each with line and column, in the order of the file.
    pub fn read(file: &str, text: &str) -> Result<Self, Findings> {
        let tree = Node::parse(text).map_err(|fault| {
            Findings::from_iter([Finding::error(Code::Yaml, file, fault.at, fault.message)])
        })?;
        let mut reader = Reader {
            file,
            tree: &tree,
            findings: Findings::new(),
        };
        let parts = reader.parts();
        let findings = reader.findings.sorted();
        match parts {
            Some(parts) if !findings.has_errors() => {
                Ok(parts.into_contract(file, text, tree, findings))
            }
            _ => Err(findings),
        }
    }

    /// `sha256:<hex>` of the contract's bytes.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.text)
    }

    /// The column at a dotted path of names.
    #[must_use]
    pub fn column(&self, path: &str) -> Option<&Column> {
        columns::find(&self.columns, path)
    }
}

/// `sha256:<hex>` of a text's bytes.
#[must_use]
pub fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("sha256:");
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

struct Parts {
    standard: Standard,
    urn: Urn,
    version: String,
    status: ProductStatus,
    owner: String,
    team: Option<String>,
    description: Option<String>,
    tags: Vec<String>,
    object: String,
    columns: Vec<Column>,
    key_columns: Vec<String>,
    slos: Vec<DeclaredSlo>,
    retention_ms: Option<i64>,
    settings: Settings,
}

impl Parts {
    fn into_contract(self, file: &str, text: &str, tree: Node, remarks: Findings) -> Contract {
        Contract {
            file: file.to_owned(),
            text: text.to_owned(),
            tree,
            standard: self.standard,
            urn: self.urn,
            version: self.version,
            status: self.status,
            owner: self.owner,
            team: self.team,
            description: self.description,
            tags: self.tags,
            object: self.object,
            columns: self.columns,
            key_columns: self.key_columns,
            slos: self.slos,
            retention_ms: self.retention_ms,
            settings: self.settings,
            remarks,
        }
    }
}

/// Reads one contract and collects all that is wrong.
struct Reader<'a> {
    file: &'a str,
    tree: &'a Node,
    findings: Findings,
}

impl Reader<'_> {
    fn error(&mut self, code: Code, at: Position, message: impl Into<String>, help: &str) {
        let mut finding = Finding::error(code, self.file, Some(at), message);
        if !help.is_empty() {
            finding.help = Some(help.to_owned());
        }
        self.findings.push(finding);
    }

    fn remark(
        &mut self,
        level: Level,
        code: Code,
        at: Position,
        message: impl Into<String>,
        help: &str,
    ) {
        let mut finding = Finding::error(code, self.file, Some(at), message).at_level(level);
        if !help.is_empty() {
            finding.help = Some(help.to_owned());
        }
        self.findings.push(finding);
    }

    /// All parts; none if one of those that everything hangs on is missing. What is wrong is in the
    /// findings either way.
    fn parts(&mut self) -> Option<Parts> {
        let tree = self.tree;
        if !matches!(tree.value, tree::Value::Map(_)) {
            self.error(
                Code::Odcs,
                tree.at,
                "the file holds no mapping, so it is no contract",
                "a contract begins with `apiVersion: v3.2.0` and `kind: DataContract`",
            );
            return None;
        }
        let standard = self.standard()?;
        self.findings.extend(standard.check(self.file, tree));
        let version = self.version();
        let urn = self.urn(version.as_ref().map(|v| v.1));
        let status = self.status();
        let (owner, team) = self.owner();
        let settings = settings::read(self);
        let object = self.object(urn.as_ref());
        let (object_name, columns, key_columns) = match object {
            Some((name, columns, keys)) => (Some(name), columns, keys),
            None => (None, Vec::new(), Vec::new()),
        };
        let settings = settings
            .map(|s| service_level::with_event_time_of_elements(self, s, object_name.as_deref()));
        let levels = service_level::read(self, settings.as_ref(), object_name.as_deref(), &columns);
        let (version, _) = version?;
        Some(Parts {
            standard,
            urn: urn?,
            version,
            status: status?,
            owner: owner?,
            team,
            description: self.description(),
            tags: tags(tree),
            object: object_name?,
            columns,
            key_columns,
            slos: levels.slos,
            retention_ms: levels.retention_ms,
            settings: settings?,
        })
    }

    fn standard(&mut self) -> Option<Standard> {
        let tree = self.tree;
        let Some(node) = tree.get("apiVersion") else {
            self.error(
                Code::Odcs,
                tree.at,
                "the contract has no `apiVersion`",
                "add `apiVersion: v3.2.0`",
            );
            return None;
        };
        let text = node.scalar().unwrap_or_default();
        let standard = Standard::of(&text);
        if standard.is_none() {
            self.error(
                Code::Odcs,
                node.at,
                format!("`apiVersion` is `{text}`; ODCS v3.0.0 to v3.2.0 can be read"),
                "write `apiVersion: v3.2.0`",
            );
        }
        standard
    }

    fn version(&mut self) -> Option<(String, ProductVersion)> {
        // Where it is missing the standard's schema has said so.
        let node = self.tree.get("version")?;
        let text = node.text()?;
        let number = |t: &str| -> Option<u32> {
            let plain = !t.is_empty()
                && t.bytes().all(|b| b.is_ascii_digit())
                && (t == "0" || !t.starts_with('0'));
            plain.then(|| t.parse().ok()).flatten()
        };
        let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
        match numbers.as_deref() {
            Some([major, _, _]) => Some((text.to_owned(), ProductVersion(*major))),
            _ => {
                self.error(
                    Code::Version,
                    node.at,
                    format!("version `{text}` is not `major.minor.patch`"),
                    "the major is the product version: 1.0.0 is v1",
                );
                None
            }
        }
    }

    fn urn(&mut self, version: Option<ProductVersion>) -> Option<Urn> {
        let tree = self.tree;
        let node = tree.get("id")?;
        let id = node.text()?;
        let name = id
            .strip_prefix("urn:meshwork:")
            .and_then(|rest| rest.split_once(':'))
            .ok_or_else(|| format!("id `{id}` must have the form urn:meshwork:<domain>:<product>"))
            .and_then(|(domain, product)| {
                ProductName::new(domain, product).map_err(|e| format!("id `{id}`: {e}"))
            });
        let name = match name {
            Ok(name) => name,
            Err(why) => {
                let help = if id.rsplit(':').next().is_some_and(|last| {
                    last.strip_prefix('v')
                        .is_some_and(|v| v.parse::<u32>().is_ok())
                }) {
                    "the id has no version: the URN's comes from `version`"
                } else {
                    ""
                };
                self.error(Code::Name, node.at, why, help);
                return None;
            }
        };
        if let Some(domain) = tree.get("domain")
            && let Some(text) = domain.text()
            && text != name.domain()
        {
            self.error(
                Code::Name,
                domain.at,
                format!("domain is `{text}`, but the id says `{}`", name.domain()),
                "make them the same",
            );
        }
        if let Some(other) = tree.get("name")
            && let Some(text) = other.text()
            && text != name.product()
        {
            self.remark(
                Level::Note,
                Code::Name,
                other.at,
                format!(
                    "the product is called `{}`, as in the id; `name: {text}` is only shown",
                    name.product()
                ),
                "",
            );
        }
        version.map(|v| name.version(v))
    }

    fn status(&mut self) -> Option<ProductStatus> {
        let Some(node) = self.tree.get("status") else {
            return Some(ProductStatus::Active);
        };
        let text = node.text()?;
        let status = match text.to_ascii_lowercase().as_str() {
            "proposed" => ProductStatus::Proposed,
            "draft" => ProductStatus::Draft,
            "active" => ProductStatus::Active,
            "deprecated" => ProductStatus::Deprecated,
            "retired" => ProductStatus::Retired,
            other => {
                let known = ["proposed", "draft", "active", "deprecated", "retired"];
                let help = nearest(other, known)
                    .map(|n| format!("did you mean `{n}`?"))
                    .unwrap_or_default();
                self.error(
                    Code::Status,
                    node.at,
                    format!("status `{text}` is none of {}", known.join(", ")),
                    &help,
                );
                return None;
            }
        };
        Some(status)
    }

    /// The owner, and the team's name. In 3.0 the team is a list of members.
    fn owner(&mut self) -> (Option<String>, Option<String>) {
        const HELP: &str = "name who answers for the product: \
             `team: {name: …, members: [{username: …, role: owner}]}`";
        let tree = self.tree;
        let Some(team) = tree.get("team") else {
            self.error(
                Code::Owner,
                tree.at,
                "the contract has no owner: there is no `team`",
                HELP,
            );
            return (None, None);
        };
        let name = team.text_of("name").map(str::to_owned);
        let members = match &team.value {
            tree::Value::List(members) => members.as_slice(),
            _ => team.get("members").map_or(&[][..], Node::elements),
        };
        let owner = members.iter().find_map(|member| {
            let role: String = member
                .text_of("role")?
                .chars()
                .filter(char::is_ascii_alphabetic)
                .collect::<String>()
                .to_ascii_lowercase();
            let owns = matches!(
                role.as_str(),
                "owner" | "dataowner" | "productowner" | "dataproductowner"
            );
            // Who has left answers for nothing.
            (owns && member.get("dateOut").is_none_or(Node::is_null))
                .then(|| member.text_of("username"))
                .flatten()
                .filter(|username| !username.trim().is_empty())
        });
        if owner.is_none() {
            self.error(
                Code::Owner,
                team.at,
                "the contract has no owner: no member of the team has the role `owner`",
                HELP,
            );
        }
        (owner.map(str::to_owned), name)
    }

    fn description(&self) -> Option<String> {
        let node = self.tree.get("description")?;
        node.text()
            .or_else(|| node.text_of("purpose"))
            .map(str::to_owned)
    }

    fn object(&mut self, urn: Option<&Urn>) -> Option<(String, Vec<Column>, Vec<String>)> {
        let tree = self.tree;
        let Some(schema) = tree.get("schema") else {
            self.error(
                Code::Object,
                tree.at,
                "the contract has no `schema`",
                "describe the topic's columns in one object under `schema`",
            );
            return None;
        };
        let object = match schema.elements() {
            [one] => one,
            many => {
                let at = many.get(1).map_or(schema.at, |second| second.at);
                self.error(
                    Code::Object,
                    at,
                    format!(
                        "`schema` holds {} objects, but a product is one topic",
                        many.len()
                    ),
                    "write a contract for each topic",
                );
                return None;
            }
        };
        if let (Some(physical), Some(urn)) = (object.get("physicalName"), urn)
            && let Some(text) = physical.text()
            && text != urn.topic()
        {
            self.error(
                Code::Name,
                physical.at,
                format!(
                    "physicalName is `{text}`, but the topic of {urn} is `{}`",
                    urn.topic()
                ),
                "the topic is <domain>.<product>.v<major>",
            );
        }
        let name = object.text_of("name")?.to_owned();
        let columns = columns::read(self, object);
        let keys = columns::keys(self, &columns);
        Some((name, columns, keys))
    }
}

fn tags(node: &Node) -> Vec<String> {
    node.get("tags")
        .map_or(&[][..], Node::elements)
        .iter()
        .filter_map(Node::scalar)
        .collect()
}

#[cfg(test)]
mod tests;
