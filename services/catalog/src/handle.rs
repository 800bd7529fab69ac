//! Questions to the running catalog.

use std::sync::Arc;

use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::name::{ProductName, Urn};
use meshwork_model::problem::{Problem, nearest};
use meshwork_model::time::SharedClock;
use meshwork_state::StateError;
use parking_lot::RwLock;

use crate::answer::{
    CatalogAsOf, ChangeItem, ChangePage, Page, ProductDetail, ProductItem, SearchAnswer, SearchItem,
};
use crate::cursor::Cursor;
use crate::search::{Filter, SearchIndex, product_version};
use crate::view::View;

/// Most items on a page.
pub const LIMIT_MAX: usize = 200;
/// Items on a page where no limit is given.
pub const LIMIT_DEFAULT: usize = 50;

/// How far the service has read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) catalog_offset: i64,
    pub(crate) changes_offset: i64,
    pub(crate) caught_up: bool,
    pub(crate) trouble: Option<String>,
}

/// What service and handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) view: View,
    pub(crate) index: RwLock<SearchIndex>,
    pub(crate) progress: RwLock<Progress>,
    pub(crate) clock: SharedClock,
}

/// Asks the running catalog. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// What a list of products is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// Words to search for.
    pub q: Option<String>,
    /// Filters.
    pub filter: Filter,
    /// Items on the page, 1 to [`LIMIT_MAX`].
    pub limit: Option<usize>,
    /// Where to go on.
    pub cursor: Option<String>,
}

impl Handle {
    /// Whether the topics have been read once up to their ends: before that answers would be of
    /// products not yet known.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.shared.progress.read().caught_up
    }

    /// Product versions, by URN, or best first where words are searched for.
    ///
    /// # Errors
    /// Not caught up yet, a cursor that is not this list's, or a store that fails.
    pub fn list(&self, request: &ListRequest) -> Result<Page<ProductItem>, Problem> {
        self.ready()?;
        let filters = format!("{:?} {:?}", request.q, request.filter);
        let cursor = request
            .cursor
            .as_deref()
            .map(|text| Cursor::decode(text, &filters))
            .transpose()?;
        let limit = limit(request.limit);
        let index = self.shared.index.read();
        // Sort key and URN of every product of the list, in order.
        let all: Vec<(u64, Urn)> = match &request.q {
            Some(q) => index
                .search(q, &request.filter)
                .hits
                .into_iter()
                .map(|hit| (hit.score.to_bits(), hit.urn))
                .collect(),
            None => index
                .products(None)
                .filter(|product| request.filter.fits(product))
                .map(|product| (0, product.urn.clone()))
                .collect(),
        };
        drop(index);
        let after = match &cursor {
            None => 0,
            Some(cursor) => {
                let last: Urn = cursor.id.parse().map_err(|_| {
                    Problem::bad_parameter("cursor", "cursor is not one that this list gave")
                })?;
                // Scores are positive, so that their bits order as they do. Descending.
                all.partition_point(|(key, urn)| {
                    *key > cursor.key || (*key == cursor.key && *urn <= last)
                })
            }
        };
        let page = all.get(after..).unwrap_or_default();
        let shown: Vec<&(u64, Urn)> = page.iter().take(limit).collect();
        let next_cursor = shown
            .last()
            .filter(|_| page.len() > limit)
            .map(|(key, urn)| {
                Cursor {
                    key: *key,
                    id: urn.to_string(),
                }
                .encode(&filters)
            });
        let mut items = Vec::with_capacity(shown.len());
        for (_, urn) in shown {
            // Gone since the index was read: the page is one shorter.
            items.extend(self.product(urn)?.as_ref().map(ProductItem::from));
        }
        Ok(Page {
            items,
            next_cursor,
            total: count(all.len()),
            as_of: self.as_of(),
            unavailable: self.unavailable(),
        })
    }

    /// Searches products.
    ///
    /// # Errors
    /// Not caught up yet, or a store that fails.
    pub fn search(
        &self,
        query: &str,
        filter: &Filter,
        asked: Option<usize>,
    ) -> Result<SearchAnswer, Problem> {
        self.ready()?;
        let found = self.shared.index.read().search(query, filter);
        let mut items = Vec::new();
        for hit in found.hits.iter().take(limit(asked)) {
            if let Some(product) = self.product(&hit.urn)? {
                items.push(SearchItem {
                    item: (&product).into(),
                    score: hit.score,
                    matched: hit
                        .matched
                        .iter()
                        .map(|field| (*field).to_owned())
                        .collect(),
                });
            }
        }
        Ok(SearchAnswer {
            items,
            total: count(found.hits.len()),
            left_out: found.left_out,
            did_you_mean: found.did_you_mean,
            as_of: self.as_of(),
            unavailable: self.unavailable(),
        })
    }

    /// The announcement of a product by name (its newest version that is active, else the newest),
    /// or of a product version by URN, topic or `<name>:v<major>`.
    ///
    /// # Errors
    /// No such product (`404`, with the nearest name), not caught up yet, or a store that fails.
    pub fn announcement(&self, name: &str) -> Result<ProductAnnouncement, Problem> {
        self.ready()?;
        let urn = self.resolve(name)?;
        self.product(&urn)?.ok_or_else(|| self.not_found(name))
    }

    /// As [`Self::announcement`], for people: without texts, with all versions.
    ///
    /// # Errors
    /// As [`Self::announcement`].
    pub fn get(&self, name: &str) -> Result<ProductDetail, Problem> {
        let product = self.announcement(name)?;
        let versions = self.versions(product.urn.name());
        Ok(ProductDetail::new(
            &product,
            versions.into_iter().map(|(urn, _)| urn).collect(),
        ))
    }

    /// Changes after `after` (an offset as [`ChangeItem::offset`] gives it; none: from the first
    /// that is kept), of one product version or of all, in the order of the log.
    ///
    /// # Errors
    /// Not caught up yet, or a store that fails.
    pub fn changes(
        &self,
        after: Option<i64>,
        urn: Option<&Urn>,
        asked: Option<usize>,
    ) -> Result<ChangePage, Problem> {
        self.ready()?;
        let from = after.map_or(0, |after| after.saturating_add(1));
        let limit = limit(asked);
        let fits = |change: &meshwork_model::mesh::ProductChange| {
            urn.is_none_or(|urn| change.urn.as_ref() == Some(urn))
        };
        let mut found = self
            .shared
            .view
            .changes(from, limit + 1, fits)
            .map_err(|error| store_failed(&error))?;
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().map(|(offset, _)| *offset);
        Ok(ChangePage {
            next_cursor: last.filter(|_| more).map(|last| last.to_string()),
            items: found
                .iter()
                .map(|(offset, change)| ChangeItem::new(*offset, change))
                .collect(),
            as_of: self.as_of(),
            unavailable: self.unavailable(),
        })
    }

    /// The product version that a name stands for.
    fn resolve(&self, name: &str) -> Result<Urn, Problem> {
        if let Some(urn) = product_version(name) {
            return match self.shared.index.read().get(&urn) {
                Some(_) => Ok(urn),
                None => Err(self.not_found(name)),
            };
        }
        let product: ProductName = name.parse().map_err(|_| self.not_found(name))?;
        self.versions(&product)
            .into_iter()
            .max_by_key(|(urn, status)| (rank(*status), urn.version()))
            .map(|(urn, _)| urn)
            .ok_or_else(|| self.not_found(name))
    }

    fn versions(&self, product: &ProductName) -> Vec<(Urn, ProductStatus)> {
        self.shared
            .index
            .read()
            .products(None)
            .filter(|version| version.urn.name() == product)
            .map(|version| (version.urn.clone(), version.status))
            .collect()
    }

    fn product(&self, urn: &Urn) -> Result<Option<ProductAnnouncement>, Problem> {
        self.shared
            .view
            .product(urn)
            .map_err(|error| store_failed(&error))
    }

    fn ready(&self) -> Result<(), Problem> {
        if self.caught_up() {
            return Ok(());
        }
        let detail = match &self.shared.progress.read().trouble {
            Some(trouble) => format!("the catalog has not read its topics yet: {trouble}"),
            None => "the catalog has not read its topics yet; ask again in a moment".to_owned(),
        };
        Err(Problem::new(
            503,
            "catching-up",
            "The catalog is catching up",
            detail,
        ))
    }

    fn not_found(&self, name: &str) -> Problem {
        let index = self.shared.index.read();
        let names: Vec<String> = index
            .products(None)
            .flat_map(|product| [product.urn.name().to_string(), product.urn.to_string()])
            .collect();
        let near = nearest(name, names.iter().map(String::as_str));
        let detail = match near {
            Some(near) => format!("no product `{name}` is announced, did you mean `{near}`?"),
            None => format!(
                "no product `{name}` is announced; `meshwork product list` shows all there are"
            ),
        };
        Problem::new(404, "no-such-product", "There is no such product", detail)
    }

    fn as_of(&self) -> CatalogAsOf {
        let progress = self.shared.progress.read();
        CatalogAsOf {
            catalog_offset: progress.catalog_offset,
            changes_offset: progress.changes_offset,
            asked_at: self.shared.clock.now(),
        }
    }

    fn unavailable(&self) -> Vec<String> {
        let mut missing: Vec<String> = self
            .shared
            .progress
            .read()
            .trouble
            .iter()
            .cloned()
            .collect();
        match self.shared.view.unreadable() {
            Ok(unreadable) if unreadable.is_empty() => {}
            Ok(unreadable) => {
                let keys: Vec<&str> = unreadable.iter().take(3).map(|u| u.key.as_str()).collect();
                let more = if unreadable.len() > keys.len() {
                    ", …"
                } else {
                    ""
                };
                missing.push(format!(
                    "{} announcements that do not decode ({}{more})",
                    unreadable.len(),
                    keys.join(", "),
                ));
            }
            Err(error) => missing.push(error.to_string()),
        }
        missing
    }
}

/// Which version of a product its bare name stands for: the newest active one, else the newest that
/// is not retired.
const fn rank(status: ProductStatus) -> u8 {
    match status {
        ProductStatus::Active => 2,
        ProductStatus::Proposed | ProductStatus::Draft | ProductStatus::Deprecated => 1,
        ProductStatus::Retired => 0,
    }
}

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn store_failed(error: &StateError) -> Problem {
    tracing::error!(%error, "the catalog's store fails");
    Problem::new(
        500,
        "store-failed",
        "The service's store fails",
        "the catalog can't read its store; its log says why",
    )
}
