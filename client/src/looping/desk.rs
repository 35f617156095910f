//! The desk of an endpoint's thread: what others lay on it, and how the thread is told that something lies there.
//!
//! Deliberately not here: what is done about an order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::schedule::Rhythm;
use super::words::{Answer, Wish};
use crate::connect::Killer;
use crate::session::Waker;

/// What is asked of an endpoint's thread. It is dealt with between two runs.
#[derive(Debug)]
pub(super) enum Order {
    /// A run that a person started by hand; what became of it goes back.
    Run(Wish, Sender<Answer>),
    /// A run now, whatever failed before.
    Now,
    /// Config and rhythm may have changed.
    Reload(Rhythm),
}

/// Where orders lie until the thread takes them.
#[derive(Debug, Default)]
pub(super) struct Desk {
    orders: Mutex<VecDeque<Order>>,
    came: Condvar,
    waker: Waker,
    stop: Arc<AtomicBool>,
    link: Mutex<Option<Killer>>,
}

impl Desk {
    /// Lays an order on the desk; a rest ends, a run goes on to its end.
    pub(super) fn post(&self, order: Order) {
        self.orders().push_back(order);
        self.came.notify_all();
        self.waker.wake();
    }

    /// Takes the oldest order.
    pub(super) fn take(&self) -> Option<Order> {
        self.orders().pop_front()
    }

    /// Asks the thread to end; a run stops between two messages.
    pub(super) fn stop(&self) {
        // Under the lock, so that the flag cannot go up between a look at it and the wait that follows.
        let orders = self.orders();
        self.stop.store(true, Ordering::Relaxed);
        drop(orders);
        self.came.notify_all();
        self.waker.wake();
    }

    /// Whether the thread is to end.
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The flag that a session looks at.
    pub(super) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// What ends a session's rest.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Waits without a session, until an order comes, the thread is to end, or it is time.
    pub(super) fn wait(&self, until: Option<Instant>) {
        let mut orders = self.orders();
        while orders.is_empty() && !self.stopped() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            orders = match left {
                Some(left) if left.is_zero() => return,
                Some(left) => self.came.wait_timeout(orders, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.came.wait(orders).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// What ends the connection that is open from now on; none when there is none.
    pub(super) fn connected(&self, killer: Option<Killer>) {
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = killer;
    }

    /// Cuts the connection under whatever goes on.
    pub(super) fn cut(&self) {
        let killer = self.link.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(killer) = killer {
            killer.kill();
        }
    }

    fn orders(&self) -> MutexGuard<'_, VecDeque<Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wait_ends_with_an_order_with_the_end_and_in_time() {
        let desk = Arc::new(Desk::default());
        desk.wait(Some(Instant::now()));
        let other = Arc::clone(&desk);
        let thread = thread::spawn(move || other.wait(Some(Instant::now() + Duration::from_secs(600))));
        desk.post(Order::Now);
        thread.join().expect("the wait ends");
        assert!(matches!(desk.take(), Some(Order::Now)) && desk.take().is_none());
        let other = Arc::clone(&desk);
        let thread = thread::spawn(move || other.wait(None));
        desk.stop();
        thread.join().expect("the wait ends");
        desk.wait(None);
    }
}
