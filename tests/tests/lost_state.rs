//! A state directory that is gone or old costs nothing: the next run adopts.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use smd_tests::populate::{self, Spec};
use smd_tests::rng::Rng;
use smd_tests::tree::{Found, Tree};
use smd_tests::user::User;
use smd_tests::world::{Host, Link, World};

struct Story {
    world: World,
    us: User,
    them: User,
}

/// Two hosts that agree on 200 messages in 8 folders.
fn story() -> Story {
    let world = World::new(Link::Rsh);
    let rng = Rng::from_env_or(44);
    populate::populate(&world.server().maildir(), "first", Spec::plain(200, 8), &mut rng.fork(1));
    world.sync(&[]).ok();
    let us = User::new(&world.client().maildir(), "us", rng.fork(2));
    let them = User::new(&world.server().maildir(), "them", rng.fork(3));
    Story { world, us, them }
}

impl Story {
    /// Mail comes, is read and moves, and five messages are deleted, half of it at each host; what was deleted is returned.
    fn a_week_passes(&mut self) -> Vec<Found> {
        let all = self.us.list();
        for number in 0..10 {
            self.us.deliver("");
            self.them.deliver(".Archive.2024");
            self.us.set_flags(&all[number], "FS");
            self.them.move_to(&all[20 + number], "Work", true);
        }
        let gone = all[50..55].to_vec();
        for (number, found) in gone.iter().enumerate() {
            if number % 2 == 0 { self.us.delete(found) } else { self.them.delete(found) }
        }
        self.world.sync(&[]).ok();
        self.world.assert_equal();
        gone
    }

    /// One run adopts: no delete, no duplicate, nothing missing, and what came back is listed.
    #[track_caller]
    fn assert_adopts(&self, may_return: &[Found]) {
        let before = Tree::read(&self.world.client().maildir());
        let outcome = self.world.sync(&["--json"]).ok();
        self.world.assert_equal();
        assert_eq!(outcome.deleted(), 0, "{outcome}");
        let listed: BTreeSet<String> =
            outcome.returned().unwrap_or_else(|| panic!("not adopted\n{outcome}")).into_iter().collect();
        let after = Tree::read(&self.world.client().maildir());
        for (folder, messages) in &before.folders {
            for uniq in messages.keys() {
                after.message(folder, uniq);
            }
        }
        let allowed: BTreeSet<&[u8]> = may_return.iter().map(Found::uniq).collect();
        for (folder, messages) in &after.folders {
            for uniq in messages.keys() {
                let known = before.folders.get(folder).is_some_and(|messages| messages.contains_key(uniq));
                let name = String::from_utf8_lossy(uniq).into_owned();
                assert!(
                    known || (allowed.contains(uniq.as_slice()) && listed.contains(&name)),
                    "{folder:?} {name} is a duplicate\n{outcome}"
                );
            }
        }
        assert!(after.contents().values().all(|count| *count == 1), "no content is there twice");
        let again = self.world.sync(&["--json"]).ok();
        assert_eq!((again.steps(), again.returned()), (0, None), "{again}");
    }
}

fn forget(host: &Host) {
    fs::remove_dir_all(host.smd_home()).expect("the state can be removed");
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp can be started");
    assert!(status.success());
}

#[test]
fn without_the_clients_state_the_next_run_adopts() {
    let mut story = story();
    story.a_week_passes();
    forget(story.world.client());
    story.assert_adopts(&[]);
}

#[test]
fn without_the_servers_state_the_next_run_adopts() {
    let mut story = story();
    story.a_week_passes();
    forget(story.world.server());
    story.assert_adopts(&[]);
}

#[test]
fn without_any_state_the_next_run_adopts_and_transfers_nothing() {
    let mut story = story();
    story.a_week_passes();
    forget(story.world.client());
    forget(story.world.server());
    story.assert_adopts(&[]);
}

#[test]
fn mail_deleted_at_one_host_since_its_state_was_lost_may_return_and_is_listed() {
    let mut story = story();
    let gone = story.us.list()[3..6].to_vec();
    for found in &gone {
        story.us.delete(found);
    }
    forget(story.world.client());
    let outcome = story.world.sync(&["--json"]).ok();
    story.world.assert_equal();
    let listed = outcome.returned().expect("the run adopts");
    for found in &gone {
        assert!(listed.contains(&String::from_utf8_lossy(found.uniq()).into_owned()), "{outcome}");
    }
    assert_eq!(Tree::read(&story.world.client().maildir()).len(), 200);
}

#[test]
fn last_weeks_state_at_the_client_is_recognised_and_adopted() {
    let mut story = story();
    let kept = story.world.dir().join("last-week");
    copy(&story.world.client().smd_home(), &kept);
    let gone = story.a_week_passes();
    forget(story.world.client());
    copy(&kept, &story.world.client().smd_home());
    story.assert_adopts(&gone);
}

#[test]
fn last_weeks_state_at_the_server_is_recognised_and_adopted() {
    let mut story = story();
    let kept = story.world.dir().join("last-week");
    copy(&story.world.server().smd_home(), &kept);
    let gone = story.a_week_passes();
    forget(story.world.server());
    copy(&kept, &story.world.server().smd_home());
    story.assert_adopts(&gone);
}

#[test]
fn last_weeks_state_with_last_weeks_changes_undone_by_nobody_deletes_nothing() {
    // The old base knows messages that both hosts deleted, and lacks those that came: neither may be acted upon.
    let mut story = story();
    let kept = story.world.dir().join("last-week");
    copy(&story.world.client().smd_home(), &kept);
    story.a_week_passes();
    let more = story.them.list()[60..64].to_vec();
    for found in &more {
        story.them.delete(found);
    }
    forget(story.world.client());
    copy(&kept, &story.world.client().smd_home());
    let outcome = story.world.sync(&["--json"]).ok();
    story.world.assert_equal();
    assert_eq!(outcome.deleted(), 0, "{outcome}");
}

#[test]
fn a_damaged_base_adopts_and_needs_no_person() {
    let mut story = story();
    story.a_week_passes();
    for path in smd_tests::stamps::bases(&story.world.server().smd_home()).into_keys() {
        let mut bytes = fs::read(&path).expect("the base can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x15;
        fs::write(&path, bytes).expect("the base can be written");
    }
    let outcome = story.world.sync(&["--json"]).ok();
    story.world.assert_equal();
    assert_eq!(outcome.deleted(), 0, "{outcome}");
}

#[test]
fn a_folder_put_back_at_the_server_is_put_back_for_every_client() {
    let world = World::with_hosts(Link::Rsh, &["laptop", "desktop", "office"]);
    let (laptop, desktop) = (world.host("laptop"), world.host("desktop"));
    let office = world.server().maildir();
    populate::populate(&office, "first", Spec::plain(40, 4), &mut Rng::from_env_or(5));
    let copy = |from: &Path, to: &Path| {
        let done = Command::new("cp").arg("-a").args([from, to]).status().expect("cp can be started");
        assert!(done.success(), "the folder is copied");
    };
    let (folder, backup) = (office.join("Work"), world.dir().join("backup"));
    let mut them = User::new(&office, "them", Rng::from_env_or(6));
    them.deliver("Work");
    copy(&folder, &backup);
    them.deliver("Work");
    world.run("smd-sync", laptop, &[]).ok();
    let late = them.deliver("Work");
    world.run("smd-sync", desktop, &[]).ok();
    let whole = Tree::read(&office).len();
    fs::remove_dir_all(&folder).expect("the folder goes");
    copy(&backup, &folder);

    // What the laptop gives back makes the folder's stamps new, and the desktop alone has the last message.
    world.run("smd-sync", laptop, &[]).ok().says("put back");
    world.run("smd-sync", desktop, &[]).ok().says("put back");
    world.run("smd-sync", laptop, &[]).ok();
    assert!(them.list().iter().any(|found| found.uniq() == late.uniq()), "the last message is back");
    for host in [laptop, desktop] {
        assert_eq!(Tree::read(&host.maildir()).len(), whole);
    }
}
