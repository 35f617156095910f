//! Several threads for work that waits for a disk.
//!
//! Deliberately not here: what the work is, and in which order it must be done.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Most threads at the same time.
const THREADS: usize = 8;

/// Does `work` for each of these, several at a time, and gives the results in their order; none for those that were not begun
/// when `stop` was raised.
pub(crate) fn each<T: Sync, R: Send>(items: &[T], stop: &AtomicBool, work: impl Fn(&T) -> R + Sync) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<R>>> = Mutex::new(items.iter().map(|_| None).collect());
    let one = || {
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { break };
            let result = work(item);
            done.lock().expect("nobody panics while it is held")[at] = Some(result);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS).min(items.len());
    if threads <= 1 {
        one();
    } else {
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(one))));
    }
    done.into_inner().expect("nobody panics while it is held")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_nothing_is_begun_after_the_stop() {
        let items: Vec<usize> = (0..1000).collect();
        let stop = AtomicBool::new(false);
        let twice: Vec<usize> = each(&items, &stop, |n| n * 2).into_iter().flatten().collect();
        assert_eq!(twice, items.iter().map(|n| n * 2).collect::<Vec<_>>());
        let done = each(&items, &stop, |n| stop.fetch_or(*n == 10, Ordering::Relaxed));
        assert!(done.last().is_some_and(Option::is_none) && done[..10].iter().all(Option::is_some));
    }
}
