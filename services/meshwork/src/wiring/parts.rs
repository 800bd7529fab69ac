//! The parts that run in the process, and how they end: all on a signal, or all because one failed.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Running parts.
#[derive(Debug)]
pub(crate) struct Parts {
    tasks: JoinSet<(&'static str, anyhow::Result<()>)>,
    shutdown: CancellationToken,
    drain_deadline: Duration,
}

impl Parts {
    pub(super) fn new(drain_deadline: Duration) -> Self {
        Self {
            tasks: JoinSet::new(),
            shutdown: CancellationToken::new(),
            drain_deadline,
        }
    }

    /// Runs a part until `shutdown`, or until it fails.
    pub(super) fn run<F, E>(
        &mut self,
        name: &'static str,
        part: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let running = part(self.shutdown.clone());
        self.tasks
            .spawn(async move { (name, running.await.map_err(anyhow::Error::from)) });
    }

    /// Returns when a part has ended though nobody asked it to: with its error, or ours that it
    /// ended.
    ///
    /// # Errors
    /// Always.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok((name, Err(error)))) => error.context(format!("{name} failed")),
            Some(Ok((name, Ok(())))) => anyhow!("{name} ended by itself"),
            Some(Err(panic)) => anyhow!(panic).context("a part of the process failed"),
            None => anyhow!("nothing runs"),
        }
    }

    /// Asks all parts to finish what is in flight and end, and waits for it.
    ///
    /// # Errors
    /// A part failed while it ended, or did not within the deadline.
    pub(crate) async fn drain(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let mut outcome = Ok(());
        let ended = tokio::time::timeout(self.drain_deadline, async {
            while let Some(part) = self.tasks.join_next().await {
                match part {
                    Ok((_, Ok(()))) => {}
                    Ok((name, Err(error))) => {
                        outcome = Err(error.context(format!("{name} failed while it ended")));
                    }
                    Err(panic) => outcome = Err(anyhow!(panic)),
                }
            }
        })
        .await;
        ended.with_context(|| {
            format!(
                "some parts did not end within {} s",
                self.drain_deadline.as_secs()
            )
        })?;
        outcome
    }
}
