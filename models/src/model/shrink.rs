//! Makes a failing case short: what is left out one after the other without the failure going away stays out.
//!
//! Deliberately not here: what failing means; the caller's test says so.

use super::act::{Case, Event, Mishap};

/// Tries at most so many shorter cases.
const TRIES: usize = 3_000;

/// The shortest case found that still `fails`.
pub fn shrink(case: &Case, fails: impl Fn(&Case) -> bool) -> Case {
    let mut best = case.clone();
    let mut tries = 0;
    let mut try_one = |best: &mut Case, shorter: Case| {
        tries += 1;
        let better = tries <= TRIES && shorter != *best && fails(&shorter);
        if better {
            *best = shorter;
        }
        better
    };
    loop {
        let before = best.clone();
        let mut size = best.events.len() / 2;
        while size > 0 {
            let mut at = 0;
            while at < best.events.len() {
                let mut shorter = best.clone();
                shorter.events.drain(at..(at + size).min(best.events.len()));
                if !try_one(&mut best, shorter) {
                    at += size;
                }
            }
            size /= 2;
        }
        for clients in 1..best.clients {
            try_one(&mut best, Case { clients, ..before.clone() });
        }
        if best.disk != 0 {
            let plain = Case { disk: 0, ..best.clone() };
            try_one(&mut best, plain);
        }
        for at in 0..best.events.len() {
            let mut calmer = best.clone();
            match &mut calmer.events[at] {
                Event::Run { mishap, depth, keep, dry, .. } => {
                    (*mishap, *depth, *keep, *dry) = (Mishap::None, 0, false, false);
                }
                Event::User(_, _, synced) => *synced = true,
                Event::Settle(order) => *order = 0,
                _ => {}
            }
            try_one(&mut best, calmer);
        }
        if best == before {
            return best;
        }
    }
}
