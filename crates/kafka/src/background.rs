//! Ends librdkafka clients away from async threads: closing one can block for seconds.

use std::ops::Deref;

/// Holds a client; when dropped, the client is dropped on a thread of its own.
#[derive(Debug)]
pub(crate) struct Background<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Background<T> {
    pub(crate) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Background<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(client) => client,
            // Only `drop` takes it out.
            None => unreachable!("used after drop"),
        }
    }
}

impl<T: Send + 'static> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            // Without a thread to be had it is dropped here, by the closure that never ran.
            let _ = std::thread::Builder::new()
                .name("kafka-close".to_owned())
                .spawn(move || drop(client));
        }
    }
}
