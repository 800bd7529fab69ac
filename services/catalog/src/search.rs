//! The search index: an inverted index in memory over names, tags, owners, domains, columns and
//! descriptions of the products. Pure; the service keeps it in step with its store.

mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::name::Urn;
use meshwork_model::problem::distance;

use crate::answer::status_word;
use words::words;

/// Most words of one product that are found; a schema of thousands of columns is cut.
const WORDS_MAX: usize = 4000;
/// Most columns of one schema that are read.
const COLUMNS_MAX: usize = 2000;
/// Most words of a query.
const QUERY_WORDS_MAX: usize = 8;
/// Longest query, in characters.
pub const QUERY_MAX_CHARS: usize = 256;

/// A field that words stand in: bit, word of the API, weight.
const FIELDS: [(u8, &str, f64); 6] = [
    (NAME, "name", 8.0),
    (TAG, "tag", 4.0),
    (OWNER, "owner", 4.0),
    (DOMAIN, "domain", 4.0),
    (COLUMN, "column", 3.0),
    (DESCRIPTION, "description", 1.0),
];
const NAME: u8 = 1;
const TAG: u8 = 2;
const OWNER: u8 = 4;
const DOMAIN: u8 = 8;
const COLUMN: u8 = 16;
const DESCRIPTION: u8 = 32;

const EXACT: f64 = 1.0;
const PREFIX: f64 = 0.6;
const TYPO: f64 = 0.3;
/// A deprecated product's score is multiplied by this.
const DEPRECATED: f64 = 0.5;

/// What filters compare with; about 300 bytes a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The product version.
    pub urn: Urn,
    /// Status.
    pub status: ProductStatus,
    /// Owner.
    pub owner: String,
    /// Tags.
    pub tags: Vec<String>,
}

/// Which products a list is of. What is none is not filtered by; retired products are shown only
/// where a status is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Owning domain.
    pub domain: Option<String>,
    /// Any of these, as [`status_word`] says them.
    pub status: Option<BTreeSet<String>>,
    /// Owner.
    pub owner: Option<String>,
    /// A tag.
    pub tag: Option<String>,
}

impl Filter {
    /// Whether the product is to be shown.
    #[must_use]
    pub fn fits(&self, product: &Summary) -> bool {
        let same = |wanted: &Option<String>, has: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(has))
        };
        let status = match &self.status {
            Some(wanted) => wanted.contains(status_word(product.status)),
            None => product.status != ProductStatus::Retired,
        };
        status
            && same(&self.domain, product.urn.name().domain())
            && same(&self.owner, &product.owner)
            && self.tag.as_deref().is_none_or(|wanted| {
                product
                    .tags
                    .iter()
                    .any(|tag| tag.eq_ignore_ascii_case(wanted))
            })
    }
}

/// A product that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Which.
    pub urn: Urn,
    /// How well it fits.
    pub score: f64,
    /// Fields that the words stand in.
    pub matched: Vec<&'static str>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Best first; equal ones by URN.
    pub hits: Vec<Hit>,
    /// Words left out because no product has them all.
    pub left_out: Vec<String>,
    /// The query as it would have found something, where words were only found nearly.
    pub did_you_mean: Option<String>,
}

type DocIx = u32;

#[derive(Debug)]
struct Doc {
    summary: Summary,
    words: Vec<Arc<str>>,
}

/// The index. See the module.
#[derive(Debug, Default)]
pub struct SearchIndex {
    docs: HashMap<DocIx, Doc>,
    next: DocIx,
    by_urn: BTreeMap<Urn, DocIx>,
    /// Word → products that have it, ascending, with the fields it stands in.
    postings: BTreeMap<Arc<str>, Vec<(DocIx, u8)>>,
}

impl SearchIndex {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of products.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_urn.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_urn.is_empty()
    }

    /// The products by URN, from after `after` on.
    pub fn products<'a>(&'a self, after: Option<&Urn>) -> impl Iterator<Item = &'a Summary> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, |urn| Excluded(urn.clone()));
        self.by_urn
            .range((from, Unbounded))
            .filter_map(|(_, ix)| self.docs.get(ix))
            .map(|doc| &doc.summary)
    }

    /// One product.
    #[must_use]
    pub fn get(&self, urn: &Urn) -> Option<&Summary> {
        let doc = self.docs.get(self.by_urn.get(urn)?)?;
        Some(&doc.summary)
    }

    /// Adds a product, or replaces it.
    pub fn put(&mut self, product: &ProductAnnouncement) {
        self.remove(&product.urn);
        let ix = self.next;
        self.next = self.next.wrapping_add(1);
        let mut own: BTreeMap<String, u8> = BTreeMap::new();
        let mut add = |text: &str, field: u8| {
            words(text, |word| {
                if let Some(fields) = own.get_mut(word) {
                    *fields |= field;
                } else if own.len() < WORDS_MAX {
                    own.insert(word.to_owned(), field);
                }
            });
        };
        add(&product.product, NAME);
        add(&product.domain, NAME | DOMAIN);
        add(&product.owner, OWNER);
        for tag in &product.tags {
            add(tag, TAG);
        }
        let mut columns = 0;
        if let Ok(schema) = serde_json::from_str(&product.value_schema.schema) {
            each_column(&schema, &mut columns, &mut |name| add(name, COLUMN));
        }
        add(
            product.description.as_deref().unwrap_or_default(),
            DESCRIPTION,
        );
        let words = own
            .into_iter()
            .map(|(word, fields)| {
                let word: Arc<str> = match self.postings.get_key_value(word.as_str()) {
                    Some((known, _)) => Arc::clone(known),
                    None => word.into(),
                };
                // Numbers only grow, so that appending keeps the list ascending.
                self.postings
                    .entry(Arc::clone(&word))
                    .or_default()
                    .push((ix, fields));
                word
            })
            .collect();
        self.by_urn.insert(product.urn.clone(), ix);
        self.docs.insert(
            ix,
            Doc {
                summary: Summary {
                    urn: product.urn.clone(),
                    status: product.status,
                    owner: product.owner.clone(),
                    tags: product.tags.clone(),
                },
                words,
            },
        );
    }

    /// Removes a product.
    pub fn remove(&mut self, urn: &Urn) {
        let Some(doc) = self.by_urn.remove(urn).and_then(|ix| {
            let doc = self.docs.remove(&ix)?;
            Some((ix, doc))
        }) else {
            return;
        };
        let (ix, doc) = doc;
        for word in doc.words {
            if let Some(list) = self.postings.get_mut(&word) {
                if let Ok(at) = list.binary_search_by_key(&ix, |(doc, _)| *doc) {
                    list.remove(at);
                }
                if list.is_empty() {
                    self.postings.remove(&word);
                }
            }
        }
    }

    /// Searches. All words must stand in a product; where no product has them all, the rarest is
    /// left out, and the answer says so. Words match exactly, the last one also by its beginning,
    /// and nearly (one letter from 4 letters on, two from 8) only where nothing else is found.
    #[must_use]
    pub fn search(&self, query: &str, filter: &Filter) -> Found {
        let query: String = query.chars().take(QUERY_MAX_CHARS).collect();
        let mut asked: Vec<String> = Vec::new();
        for text in query.split(|c: char| !c.is_alphanumeric()) {
            let mut whole: Vec<String> = Vec::new();
            words(text, |word| whole.push(word.to_owned()));
            // The word as typed; its parts only where it is written in pairs.
            let is_pairs = whole
                .first()
                .is_some_and(|first| first.chars().count() < text.chars().count());
            let take = if is_pairs { whole.len() } else { 1 };
            asked.extend(whole.into_iter().take(take));
        }
        asked.truncate(QUERY_WORDS_MAX);
        let mut near: HashMap<String, String> = HashMap::new();
        let last = asked.len().saturating_sub(1);
        let mut matches: Vec<(String, Matches)> = asked
            .iter()
            .enumerate()
            .map(|(i, word)| (word.clone(), self.matches(word, i == last, &mut near)))
            .collect();
        let mut found = Found::default();
        let exact = self.named(&query);
        while !matches.is_empty() {
            found.hits = self.all_of(&matches, filter, exact.as_ref());
            if !found.hits.is_empty() {
                break;
            }
            let rarest = matches
                .iter()
                .enumerate()
                .min_by_key(|(_, (_, m))| m.by_doc.len())
                .map_or(0, |(i, _)| i);
            found.left_out.push(matches.remove(rarest).0);
        }
        if found.hits.is_empty() {
            found.left_out.clear();
        }
        if !near.is_empty() {
            let meant: Vec<&str> = asked
                .iter()
                .map(|word| near.get(word).unwrap_or(word).as_str())
                .collect();
            found.did_you_mean = Some(meant.join(" "));
        }
        found
    }

    /// The product version that the query names whole, if it does.
    fn named(&self, query: &str) -> Option<BTreeSet<Urn>> {
        let query = query.trim().to_lowercase();
        let urns: BTreeSet<Urn> = if let Some(urn) = product_version(&query) {
            self.by_urn
                .contains_key(&urn)
                .then_some(urn)
                .into_iter()
                .collect()
        } else {
            self.by_urn
                .keys()
                .filter(|urn| urn.name().product() == query || urn.name().to_string() == query)
                .cloned()
                .collect()
        };
        (!urns.is_empty()).then_some(urns)
    }

    fn all_of(
        &self,
        matches: &[(String, Matches)],
        filter: &Filter,
        exact: Option<&BTreeSet<Urn>>,
    ) -> Vec<Hit> {
        let Some((first, others)) = matches.split_first() else {
            return Vec::new();
        };
        let mut hits: Vec<(bool, Hit)> = Vec::new();
        for (ix, (score, fields)) in &first.1.by_doc {
            let mut score = *score;
            let mut fields = *fields;
            let all = others.iter().all(|(_, other)| {
                other.by_doc.get(ix).is_some_and(|(more, also)| {
                    score += more;
                    fields |= also;
                    true
                })
            });
            let Some(doc) = self.docs.get(ix).filter(|_| all) else {
                continue;
            };
            if !filter.fits(&doc.summary) {
                continue;
            }
            if doc.summary.status == ProductStatus::Deprecated {
                score *= DEPRECATED;
            }
            let named = exact.is_some_and(|urns| urns.contains(&doc.summary.urn));
            hits.push((
                named,
                Hit {
                    urn: doc.summary.urn.clone(),
                    score,
                    matched: FIELDS
                        .iter()
                        .filter(|(bit, _, _)| fields & bit != 0)
                        .map(|(_, name, _)| *name)
                        .collect(),
                },
            ));
        }
        // What is named whole comes first, whatever its score: raise it above the rest.
        let best = hits.iter().map(|(_, hit)| hit.score).fold(0.0, f64::max);
        for (named, hit) in &mut hits {
            if *named {
                hit.score += best + 1.0;
            }
        }
        let mut hits: Vec<Hit> = hits.into_iter().map(|(_, hit)| hit).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.urn.cmp(&b.urn)));
        hits
    }

    fn matches(&self, word: &str, is_last: bool, near: &mut HashMap<String, String>) -> Matches {
        let mut matches = Matches::default();
        // One or two letters say little: they are looked for in names only.
        let letters = word.chars().count();
        let within = if letters <= 2 { NAME } else { u8::MAX };
        if let Some(list) = self.postings.get(word) {
            matches.add(list, EXACT * self.rarity(list.len()), within);
        }
        if is_last {
            for (longer, list) in self
                .postings
                .range::<str, _>((std::ops::Bound::Excluded(word), std::ops::Bound::Unbounded))
            {
                if !longer.starts_with(word) {
                    break;
                }
                matches.add(list, PREFIX * self.rarity(list.len()), within);
            }
        }
        if matches.by_doc.is_empty() && letters >= 4 {
            let limit = if letters >= 8 { 2 } else { 1 };
            let mut nearest: Option<(usize, usize, Arc<str>)> = None;
            for (other, list) in &self.postings {
                if let Some(d) = distance(word, other, limit) {
                    matches.add(list, TYPO * self.rarity(list.len()), within);
                    let candidate = (d, usize::MAX - list.len(), Arc::clone(other));
                    if nearest.as_ref().is_none_or(|best| candidate < *best) {
                        nearest = Some(candidate);
                    }
                }
            }
            if let Some((_, _, other)) = nearest {
                near.insert(word.to_owned(), other.to_string());
            }
        }
        matches
    }

    /// Inverse document frequency.
    fn rarity(&self, with: usize) -> f64 {
        let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        (1.0 + count(self.docs.len()) / count(with.max(1))).ln()
    }
}

/// Products that one word of the query was found in, with score and fields.
#[derive(Debug, Default)]
struct Matches {
    by_doc: BTreeMap<DocIx, (f64, u8)>,
}

impl Matches {
    fn add(&mut self, list: &[(DocIx, u8)], quality: f64, within: u8) {
        for (doc, fields) in list {
            let fields = fields & within;
            let weight = FIELDS
                .iter()
                .filter(|(bit, _, _)| fields & bit != 0)
                .map(|(_, _, weight)| *weight)
                .fold(0.0, f64::max);
            if weight == 0.0 {
                continue;
            }
            let entry = self.by_doc.entry(*doc).or_insert((0.0, 0));
            entry.0 = entry.0.max(quality * weight);
            entry.1 |= fields;
        }
    }
}

/// The product version that `text` names: a URN, `<domain>.<product>:v<major>` or the topic.
#[must_use]
pub fn product_version(text: &str) -> Option<Urn> {
    if let Ok(urn) = text.parse::<Urn>() {
        return Some(urn);
    }
    match text.rsplit_once(":v") {
        Some((name, major)) => Urn::from_topic(&format!("{name}.v{major}")),
        None => Urn::from_topic(text),
    }
}

/// Names of the fields of all records in an Avro schema.
fn each_column(schema: &serde_json::Value, count: &mut usize, column: &mut impl FnMut(&str)) {
    use serde_json::Value;
    match schema {
        Value::Array(branches) => {
            for branch in branches {
                each_column(branch, count, column);
            }
        }
        Value::Object(object) => {
            for field in object
                .get("fields")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                if *count >= COLUMNS_MAX {
                    return;
                }
                if let Some(name) = field.get("name").and_then(Value::as_str) {
                    *count += 1;
                    column(name);
                }
                if let Some(kind) = field.get("type") {
                    each_column(kind, count, column);
                }
            }
            for inner in ["type", "items", "values"] {
                if let Some(inner) = object.get(inner) {
                    each_column(inner, count, column);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
