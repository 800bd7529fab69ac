//! Registers what is to be registered, some versions at a time, each after what it needs.

use std::collections::HashSet;

use anyhow::{Context as _, ensure};
use meshwork_registry_client::{RegistryClient, StoredVersion};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::many::AT_ONCE;
use super::source::Source;
use super::survey::{Survey, Todo};

/// How far it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fed {
    /// Versions registered.
    pub(super) registered: u64,
    /// Versions soft-deleted, as they are in the file.
    pub(super) deleted: u64,
}

/// Registers and deletes until all is done, something fails, or `stop` is given. What is under way
/// then is waited for. Gives how far it came beside the error.
pub(super) async fn feed(
    registry: &RegistryClient,
    source: &Source,
    survey: &Survey,
    stop: &CancellationToken,
) -> (Fed, anyhow::Result<()>) {
    let mut fed = Fed::default();
    let mut under_way: JoinSet<(usize, anyhow::Result<Fed>)> = JoinSet::new();
    let mut busy: HashSet<usize> = HashSet::new();
    let mut outcome = Ok(());
    'entries: for (at, entry, todo) in survey.open(source) {
        let mut blocked = true;
        while blocked {
            blocked = busy.len() >= AT_ONCE || entry.after.iter().any(|at| busy.contains(at));
            if blocked && let Err(error) = next(&mut under_way, &mut busy, &mut fed).await {
                outcome = Err(error);
                break 'entries;
            }
        }
        if stop.is_cancelled() {
            break;
        }
        let version = match source.version(entry) {
            Ok(version) => version,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        busy.insert(at);
        let (registry, deleted) = (registry.clone(), entry.deleted);
        under_way.spawn(async move { (at, one(&registry, &version, todo, deleted).await) });
    }
    while !under_way.is_empty() {
        let ended = next(&mut under_way, &mut busy, &mut fed).await;
        outcome = outcome.and(ended);
    }
    (fed, outcome)
}

async fn next(
    under_way: &mut JoinSet<(usize, anyhow::Result<Fed>)>,
    busy: &mut HashSet<usize>,
    fed: &mut Fed,
) -> anyhow::Result<()> {
    let Some(ended) = under_way.join_next().await else {
        busy.clear();
        return Ok(());
    };
    let (at, done) = ended?;
    busy.remove(&at);
    let done = done?;
    fed.registered += done.registered;
    fed.deleted += done.deleted;
    Ok(())
}

async fn one(
    registry: &RegistryClient,
    version: &StoredVersion,
    todo: Todo,
    deleted: bool,
) -> anyhow::Result<Fed> {
    let mut fed = Fed::default();
    let name = || {
        format!(
            "version {} of {} with id {}",
            version.version, version.subject, version.id
        )
    };
    if todo == Todo::Register {
        let id = registry
            .import_version(version)
            .await
            .with_context(|| format!("{} was not registered", name()))?;
        ensure!(
            id == version.id,
            "{} was registered with id {id}: the registry is not in IMPORT mode any more",
            name()
        );
        fed.registered = 1;
    }
    if deleted {
        registry
            .delete_version(&version.subject, version.version)
            .await
            .with_context(|| format!("{} was not deleted", name()))?;
        fed.deleted = 1;
    }
    Ok(fed)
}
