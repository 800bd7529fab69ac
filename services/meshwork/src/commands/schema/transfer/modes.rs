//! IMPORT mode, and back again whatever happens.

use std::collections::BTreeSet;

use meshwork_registry_client::{RegistryClient, RegistryClientError};

use super::super::graphs::context_of;
use super::super::many::each;
use super::portable::in_words;
use super::source::Source;
use super::survey::Survey;

/// The mode in which ids and versions are given.
const IMPORT: &str = "IMPORT";

/// The scopes that were set to IMPORT, with the mode of their own that they had.
#[derive(Debug)]
pub(super) struct Modes {
    registry: RegistryClient,
    former: Vec<(Option<String>, Option<String>)>,
}

/// The scopes whose mode decides about what is to be registered: a context that holds nothing
/// else, the subjects themselves where others write too, and subjects with a mode of their own.
///
/// # Errors
/// The registry can't be asked.
pub(super) async fn scopes(
    registry: &RegistryClient,
    source: &Source,
    survey: &Survey,
) -> anyhow::Result<BTreeSet<Option<String>>> {
    let subjects: BTreeSet<&str> = survey
        .open(source)
        .into_iter()
        .map(|(_, entry, _)| entry.subject.as_str())
        .collect();
    let mut scopes = BTreeSet::new();
    let mut own = Vec::new();
    for subject in subjects {
        let context = context_of(subject).map(ToOwned::to_owned);
        if survey.shared.contains(&context) {
            scopes.insert(Some(subject.to_owned()));
        } else {
            scopes.insert(context.map(|context| format!(":{context}:")));
            own.push(subject.to_owned());
        }
    }
    let modes = each(own, |subject| {
        let registry = registry.clone();
        async move {
            let mode = registry.mode(Some(&subject)).await?;
            Ok(mode.map(|_| subject))
        }
    })
    .await?;
    scopes.extend(modes.into_iter().flatten().map(Some));
    Ok(scopes)
}

impl Modes {
    pub(super) fn new(registry: RegistryClient) -> Self {
        Self {
            registry,
            former: Vec::new(),
        }
    }

    /// Sets IMPORT on a scope; what it had is kept to be restored.
    ///
    /// # Errors
    /// The registry refuses it, or can't be asked.
    pub(super) async fn import(&mut self, scope: Option<String>) -> anyhow::Result<()> {
        let former = self.registry.mode(scope.as_deref()).await?;
        if former.as_deref() == Some(IMPORT) {
            eprintln!(
                "{} is in IMPORT mode already and stays so: an import that was killed may have \
                 left it",
                in_words(scope.as_deref())
            );
            return Ok(());
        }
        // Kept first: a request that seems to have failed may have succeeded.
        self.former.push((scope.clone(), former));
        // What is there was compared with the file; the registry's own rule is coarser.
        let set = self.registry.set_mode(scope.as_deref(), IMPORT, true).await;
        match set {
            Ok(()) => Ok(()),
            Err(error @ RegistryClientError::Refused { .. }) => Err(anyhow::anyhow!(
                "{} can't be set to IMPORT, in which alone ids and versions are given: {error}",
                in_words(scope.as_deref())
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Restores what was. All are tried, even if one fails.
    ///
    /// # Errors
    /// Which could not be restored, and to what.
    pub(super) async fn restore(self) -> anyhow::Result<()> {
        let mut failed = Vec::new();
        for (scope, former) in self.former.into_iter().rev() {
            let restored = match (&scope, &former) {
                (Some(scope), None) => self.registry.delete_mode(scope).await,
                (scope, former) => {
                    let former = former.as_deref().unwrap_or("READWRITE");
                    self.registry.set_mode(scope.as_deref(), former, true).await
                }
            };
            if let Err(error) = restored {
                failed.push(format!(
                    "{} is left in IMPORT mode and was {}: {error}",
                    in_words(scope.as_deref()),
                    former.as_deref().unwrap_or("without a mode of its own")
                ));
            }
        }
        anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
        Ok(())
    }
}
