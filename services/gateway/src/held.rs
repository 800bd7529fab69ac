//! Room for large requests: how many bytes of them are held at a time, over all connections and of
//! one client address, so that one that sends slowly keeps no others out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::metrics::Metrics;

const KIB: usize = 1 << 10;
/// The part of all room that one client address may have: a quarter.
const SHARE: u32 = 4;

/// Room for all connections. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct Held {
    all: Arc<Semaphore>,
    all_kib: u32,
    one_kib: u32,
    /// Of the addresses that hold some, or wait for some: no more than there are connections.
    by_address: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    metrics: Metrics,
}

/// Room that a request has; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    kib: u32,
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    // Behind the permits: they are given back first.
    address: AddressRoom,
}

/// The share of an address, remembered as long as anybody needs it.
#[derive(Debug)]
struct AddressRoom {
    held: Arc<Held>,
    address: IpAddr,
    share: Option<Arc<Semaphore>>,
}

impl Held {
    /// Of so many KiB.
    pub(crate) fn new(all_kib: u32, metrics: Metrics) -> Self {
        let permits = |kib: u32| Semaphore::new(usize::try_from(kib).unwrap_or(usize::MAX));
        Self {
            all: Arc::new(permits(all_kib)),
            all_kib,
            one_kib: (all_kib / SHARE).max(1),
            by_address: Mutex::default(),
            metrics,
        }
    }

    /// Waits for room for a request: first in its address's share, then in all. One that is larger
    /// than either takes all of it, so that it comes in alone.
    pub(crate) async fn room(self: &Arc<Self>, address: IpAddr, bytes: usize) -> Option<Room> {
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX);
        let share = self.share(address);
        let place = AddressRoom {
            held: Arc::clone(self),
            address,
            share: Some(Arc::clone(&share)),
        };
        // Neither is ever closed.
        let own = share.acquire_many_owned(kib.min(self.one_kib)).await.ok()?;
        let kib = kib.min(self.all_kib);
        let all = Arc::clone(&self.all).acquire_many_owned(kib).await.ok()?;
        self.metrics.holds(i64::from(kib) * 1024);
        Some(Room {
            kib,
            _all: all,
            _own: own,
            address: place,
        })
    }

    fn share(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut shares = self.by_address.lock();
        let share = shares.entry(address).or_insert_with(|| {
            Arc::new(Semaphore::new(
                usize::try_from(self.one_kib).unwrap_or(usize::MAX),
            ))
        });
        Arc::clone(share)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.address.held.metrics.holds(-i64::from(self.kib) * 1024);
    }
}

impl Drop for AddressRoom {
    fn drop(&mut self) {
        self.share = None;
        let mut shares = self.held.by_address.lock();
        // Nobody else has it: it is only ever given out under this lock.
        if shares
            .get(&self.address)
            .is_some_and(|share| Arc::strong_count(share) == 1)
        {
            shares.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn ready<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        }
    }

    fn held(kib: u32) -> Arc<Held> {
        Arc::new(Held::new(kib, Metrics::default()))
    }

    fn address(n: u8) -> IpAddr {
        [127, 0, 0, n].into()
    }

    #[test]
    fn one_address_holds_a_quarter_and_the_others_go_on() {
        let held = held(400);
        let first = ready(pin!(held.room(address(1), 100 * KIB))).unwrap();
        let mut second = pin!(held.room(address(1), KIB));
        assert!(ready(second.as_mut()).is_none(), "its share is taken");
        let other = ready(pin!(held.room(address(2), 100 * KIB)));
        assert!(other.is_some());
        drop(first);
        assert!(ready(second).is_some());
    }

    #[test]
    fn all_together_hold_no_more_than_all() {
        let held = held(400);
        let room = |n| held.room(address(n), 100 * KIB);
        let mut taken: Vec<_> = (1..=4).map(|n| ready(pin!(room(n))).unwrap()).collect();
        let mut fifth = pin!(room(5));
        assert!(ready(fifth.as_mut()).is_none());
        taken.pop();
        assert!(ready(fifth).is_some());
    }

    #[test]
    fn what_is_larger_than_its_share_comes_in_alone() {
        let held = held(400);
        let large = ready(pin!(held.room(address(1), 10_000 * KIB))).unwrap();
        assert!(ready(pin!(held.room(address(1), KIB))).is_none());
        assert!(ready(pin!(held.room(address(2), KIB))).is_none());
        drop(large);
        assert!(ready(pin!(held.room(address(2), KIB))).is_some());
    }

    #[test]
    fn no_address_is_remembered_that_holds_nothing() {
        let held = held(400);
        let first = ready(pin!(held.room(address(1), 100 * KIB))).unwrap();
        {
            let mut given_up = pin!(held.room(address(1), KIB));
            assert!(ready(given_up.as_mut()).is_none());
        }
        assert_eq!(held.by_address.lock().len(), 1);
        drop(first);
        assert_eq!(held.by_address.lock().len(), 0);
        {
            let mut given_up = pin!(held.room(address(1), 100 * KIB));
            let _all = ready(pin!(held.room(address(2), 10_000 * KIB))).unwrap();
            assert!(ready(given_up.as_mut()).is_none());
        }
        assert_eq!(held.by_address.lock().len(), 0);
    }
}
