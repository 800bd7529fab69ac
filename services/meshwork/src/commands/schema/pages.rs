//! Versions with their texts, page by page: by the registry's own listing where it has one, else
//! subject by subject.

use meshwork_registry_client::{RegistryClient, RegistryClientError, Shown, StoredVersion, Wanted};

use super::look::subjects;
use super::many::each;

/// Versions asked for at once; less where an answer gets too long.
const PAGE: usize = 200;

/// Subjects whose versions are asked for at once, where there is no listing.
const SUBJECTS: usize = 50;

/// Live versions, from the first on.
pub(crate) struct Pages {
    registry: RegistryClient,
    prefix: String,
    latest_only: bool,
    from: Source,
}

enum Source {
    Listing {
        offset: usize,
        limit: usize,
        /// The first of the last page: a registry that does not page shows it again.
        first: Option<(String, i32)>,
    },
    Subjects(Vec<String>),
}

impl Pages {
    /// Of the subjects with this prefix; all of every context where it is empty.
    pub(crate) fn new(registry: RegistryClient, prefix: &str, latest_only: bool) -> Self {
        Self {
            registry,
            prefix: if prefix.is_empty() { ":*:" } else { prefix }.to_owned(),
            latest_only,
            from: Source::Listing {
                offset: 0,
                limit: PAGE,
                first: None,
            },
        }
    }

    /// The next page; none behind the last.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Vec<StoredVersion>>> {
        loop {
            match &mut self.from {
                Source::Subjects(names) => {
                    if names.is_empty() {
                        return Ok(None);
                    }
                    let rest = names.split_off(names.len().min(SUBJECTS));
                    let names = std::mem::replace(names, rest);
                    return self.of_subjects(names).await.map(Some);
                }
                Source::Listing {
                    offset,
                    limit,
                    first,
                } => {
                    let wanted = Wanted {
                        prefix: &self.prefix,
                        deleted: false,
                    };
                    let page = self
                        .registry
                        .version_page(wanted, self.latest_only, *offset, *limit)
                        .await;
                    match page {
                        Ok(Some(page)) => {
                            let head = page.first().map(|v| (v.subject.clone(), v.version));
                            if head.is_none() || head == *first {
                                return Ok(None);
                            }
                            *first = head;
                            *offset += page.len();
                            return Ok(Some(page));
                        }
                        Err(RegistryClientError::TooLong { .. }) if *limit > 1 => *limit /= 2,
                        // No listing, or one that can't be read in parts.
                        Ok(None) | Err(RegistryClientError::TooLong { .. }) => {
                            let prefix = self.prefix.strip_prefix(":*:").unwrap_or(&self.prefix);
                            let names =
                                subjects(&self.registry, prefix, false, 0, usize::MAX).await?;
                            self.from = Source::Subjects(names);
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    async fn of_subjects(&self, names: Vec<String>) -> anyhow::Result<Vec<StoredVersion>> {
        let latest_only = self.latest_only;
        let versions = each(names, |name| {
            let registry = self.registry.clone();
            async move {
                let numbers = if latest_only {
                    vec!["latest".to_owned()]
                } else {
                    let numbers = registry.version_numbers(&name, false).await?;
                    let numbers = numbers.unwrap_or_default();
                    numbers.iter().map(ToString::to_string).collect()
                };
                let mut versions = Vec::with_capacity(numbers.len());
                for number in numbers {
                    let shown = Shown::default();
                    versions.extend(registry.stored_version(&name, &number, shown).await?);
                }
                Ok(versions)
            }
        })
        .await?;
        Ok(versions.into_iter().flatten().collect())
    }
}
