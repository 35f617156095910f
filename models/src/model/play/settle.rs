//! Everybody rests: plain runs must do all that is left, and what is there then must be what users made.

use smd_client::exit::Exit;
use smd_client::options::{Direction, Scan};
use smd_client::report::Guard;

use super::super::host::Host;
use super::super::mail::{self, Tree};
use super::look::lock;
use super::run::Run;
use super::{Broken, Mercy, World};

impl World {
    /// Everybody rests.
    pub(super) fn settle(&mut self, n: u8) -> Result<(), Broken> {
        self.meet();
        let in_place = std::mem::take(&mut lock(&self.shared).in_place);
        self.figures.forgiven.more(Mercy::Looked, usize::from(in_place));
        let scan = if in_place { Scan::Stat } else { Scan::Quick };
        let before = self.trees();
        let excuse = self.excuse(&before);
        let directions: &[Direction] = match n % 3 {
            0 => &[Direction::Sync],
            1 => &[Direction::Pull, Direction::Push],
            _ => &[Direction::Push, Direction::Pull],
        };
        if self.hosts.len() == 2 && n >= 128 {
            match excuse {
                None => self.compare_orders(scan)?,
                Some(_) => self.figures.forgiven.more(Mercy::Uncompared, 1),
            }
        }
        self.make_equal(directions, scan, before.iter().any(Tree::is_odd))?;
        let trees = self.trees();
        for (at, tree) in trees.iter().enumerate().skip(1) {
            if !tree.agrees(&trees[0]) {
                return Err(format!("unequal: server and client {at} differ:{}", trees[0].difference(tree)));
            }
            self.figures.forgiven.more(Mercy::Twins, usize::from(*tree != trees[0]));
        }
        // What became mixed while they rested was so before.
        self.check_actor(&before, &trees, excuse)?;
        self.check_end(&trees[0])?;
        for client in 1..self.hosts.len() {
            self.check_idle(client)?;
        }
        self.actors.clear();
        (self.mixed, self.adopted, self.doubtful) = (false, false, false);
        // What a crash left in a `tmp` keeps its folder from going for a day and a half.
        self.struck = self.hosts.iter().any(mail::has_leftovers);
        self.untidy.clear();
        self.restored.clear();
        let ledger = &mut lock(&self.shared).ledger;
        self.figures.forgiven.more(Mercy::Rested, ledger.surplus(&trees[0]));
        ledger.count_anew(&trees[..1]);
        Ok(())
    }

    /// Plain runs of every client, as many as it takes.
    fn make_equal(&mut self, directions: &[Direction], scan: Scan, odd: bool) -> Result<(), Broken> {
        for _ in 0..if self.hosts.len() == 2 { 1 } else { 2 } {
            for client in 1..self.hosts.len() {
                for &direction in directions {
                    self.settle_one(client, direction, scan)?;
                }
            }
        }
        // An empty message under a name that another message took meanwhile is healed by one run, and its bytes find their
        // name in the next.
        if odd {
            self.figures.forgiven.more(Mercy::Again, 1);
            for client in 1..self.hosts.len() {
                self.settle_one(client, Direction::Sync, scan)?;
            }
        }
        // A folder that a push could not remove is made again at the client by the next pull; and where a pull could not, the
        // next push makes it again at the server, after other clients had their turn.
        let after = directions.last() == Some(&Direction::Push) || self.hosts.len() > 2;
        if after && self.hosts.iter().any(mail::has_leftovers) {
            self.figures.forgiven.more(Mercy::Leftovers, 1);
            for client in 1..self.hosts.len() {
                self.settle_one(client, Direction::Pull, scan)?;
            }
        }
        Ok(())
    }

    /// A plain run that must go well; a root that looks like another is united by `--adopt`.
    pub(super) fn settle_one(&mut self, client: usize, direction: Direction, scan: Scan) -> Result<(), Broken> {
        let mut run = Run::plain(client, direction, scan);
        for _ in 0..2 {
            let report = self.run(&run)?;
            match report {
                Some(report) if report.exit() == Exit::Ok => return Ok(()),
                Some(report) if report.roots.iter().any(|root| matches!(root.guard, Some(Guard::Swapped { .. }))) => {
                    run.options.adopt = true;
                    self.figures.forgiven.more(Mercy::Adopted, 1);
                    self.adopts();
                }
                other => return Err(format!("unhealed: a plain run of client {client} gave {other:?}")),
            }
        }
        Err("unhealed: --adopt did not help".to_owned())
    }

    pub(super) fn check_end(&self, tree: &Tree) -> Result<(), Broken> {
        let shared = lock(&self.shared);
        let counts = tree.counts();
        if let Some(bytes) = shared.ledger.owed().find(|bytes| !counts.contains_key(*bytes)) {
            return Err(format!("lost: {:?} is nowhere", mail::parse(bytes)));
        }
        for host in &self.hosts {
            for mail in mail::mails(host) {
                if let Some(mtime) = shared.ledger.mtime(&mail.bytes)
                    && mtime != mail.mtime
                {
                    return Err(format!("mtime: {} has {:?} and not {mtime:?}", mail.path(), mail.mtime));
                }
            }
        }
        Ok(())
    }

    /// A further run changes nothing and asks once.
    pub(super) fn check_idle(&mut self, client: usize) -> Result<(), Broken> {
        let before: Vec<u64> = self.hosts.iter().map(Host::mail_and_bases).collect();
        let report = self.session(&Run::plain(client, Direction::Sync, Scan::Quick));
        self.take_broken()?;
        let Ok(report) = report else { return Err(format!("restless: an idle run failed: {report:?}")) };
        if !report.nothing_happened() || report.traffic.round_trips != 1 {
            return Err(format!("restless: an idle run did {report:?}"));
        }
        let after: Vec<u64> = self.hosts.iter().map(Host::mail_and_bases).collect();
        if before != after {
            return Err("restless: an idle run wrote".to_owned());
        }
        Ok(())
    }

    /// Pull then push, push then pull, and sync end in the same trees, where nobody was of two minds.
    pub(super) fn compare_orders(&mut self, scan: Scan) -> Result<(), Broken> {
        let saved: Vec<_> = self.hosts.iter().map(|host| host.disk.snapshot()).collect();
        let mut ends = Vec::new();
        // A folder that is in no base and on both hosts is adopted, and its messages follow the names of one of them.
        let trees = self.trees();
        let (mut conflict, mut adopted) = (false, trees[0].names_otherwise(&trees[1]));
        for directions in
            [&[Direction::Sync][..], &[Direction::Pull, Direction::Push], &[Direction::Push, Direction::Pull]]
        {
            for &direction in directions {
                let report = self.session(&Run::plain(1, direction, scan));
                self.take_broken()?;
                let Ok(report) = report else { return Err(format!("failed: {report:?}")) };
                conflict |= report.roots.iter().any(|root| !root.conflicts.is_empty() || !root.notes.is_empty());
                adopted |= report.roots.iter().any(|root| root.adopted.is_some());
            }
            ends.push(Tree::of(&self.hosts[0]));
            for (host, saved) in self.hosts.iter().zip(&saved) {
                host.disk.restore(saved);
            }
        }
        // Whose names an adopt follows depends on the direction.
        let differ = |a: &Tree, b: &Tree| if adopted { a.counts() != b.counts() } else { a != b };
        let differs = differ(&ends[0], &ends[1]) || differ(&ends[1], &ends[2]);
        let forgiven = &mut self.figures.forgiven;
        forgiven.more(Mercy::Conflict, usize::from(conflict && differs));
        forgiven.more(Mercy::Names, usize::from(!differs && (ends[0] != ends[1] || ends[1] != ends[2])));
        if !conflict && differs {
            let what = if ends[0] == ends[1] { ends[1].difference(&ends[2]) } else { ends[0].difference(&ends[1]) };
            return Err(format!("orders: sync, pull and push, push and pull end differently:{what}"));
        }
        Ok(())
    }
}
