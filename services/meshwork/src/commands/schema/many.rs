//! The same question about many things, some at a time.

use std::future::Future;

use tokio::task::JoinSet;

/// Requests under way at once: enough to hide the way there and back, few enough to be one client
/// among others.
pub(crate) const AT_ONCE: usize = 16;

/// Answers in the order of the items. The first error ends it.
///
/// # Errors
/// What `ask` gives, or a task that failed.
pub(crate) async fn each<I, T, F>(
    items: impl IntoIterator<Item = I>,
    ask: impl Fn(I) -> F,
) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let mut asked = JoinSet::new();
    let mut answers: Vec<Option<T>> = Vec::new();
    let keep = |answers: &mut Vec<Option<T>>, (at, answer): (usize, T)| {
        if let Some(slot) = answers.get_mut(at) {
            *slot = Some(answer);
        }
    };
    for item in items {
        if asked.len() >= AT_ONCE
            && let Some(answered) = asked.join_next().await
        {
            keep(&mut answers, answered??);
        }
        let at = answers.len();
        answers.push(None);
        let question = ask(item);
        asked.spawn(async move { question.await.map(|answer| (at, answer)) });
    }
    while let Some(answered) = asked.join_next().await {
        keep(&mut answers, answered??);
    }
    Ok(answers.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_come_in_order_and_an_error_ends_it() {
        let doubled = each(0..100_u64, async |n| {
            // The later is asked, the earlier answered.
            for _ in n..100 {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(n * 2)
        })
        .await
        .unwrap();
        assert_eq!(doubled, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        let failed = each(0..100, async |n| {
            anyhow::ensure!(n != 50, "fifty");
            Ok(n)
        })
        .await;
        assert_eq!(failed.unwrap_err().to_string(), "fifty");
    }
}
