//! The way in from OfflineIMAP, step by step as docs/MIGRATING.md has it: 20,000 messages that both hosts have, under names and in
//! folders that tell nothing of each other. At the end both are equal, and nothing was transferred that both had.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use smd_tests::mail;
use smd_tests::moving::{self, EXCLUDED, FIELD, FOLDERS, Made};
use smd_tests::outcome::Outcome;
use smd_tests::rng::Rng;
use smd_tests::tree::{self, Tree};
use smd_tests::world::{Link, World, finish};

const MESSAGES: usize = 20_000;

struct Move {
    world: World,
    mail: PathBuf,
    made: Made,
}

impl Move {
    /// Two hosts that never met, and the config that the page gives.
    fn begin() -> Self {
        let world = World::new(Link::Rsh);
        let (mail, server) = (world.client().home.join("Mail"), world.server().maildir());
        let made = moving::make(&mail, &server, MESSAGES, &mut Rng::from_env_or(48));
        fs::create_dir_all(world.client().smd_home()).expect("a directory");
        let config = format!(
            "SERVERNAME=office\nCLIENTNAME=laptop\nSSH='{}'\nMAILBOX_LOCAL=Mail\nMAILBOX_REMOTE=Maildir\n\
             TRANSLATOR_LR='smd-translate -m inbox -d LR default'\nTRANSLATOR_RL='smd-translate -m inbox -d RL default'\n\
             EXCLUDE_REMOTE='Maildir/.Spam Maildir/.Lists.huge'\n",
            world.rsh_script().display()
        );
        fs::write(world.client().smd_home().join("config.default"), config).expect("a config");
        Self { world, mail, made }
    }

    #[track_caller]
    fn here(&self, program: &str, options: &[&str]) -> Outcome {
        finish(self.world.command(program, self.world.client()).args(options))
    }

    #[track_caller]
    fn there(&self, program: &str, options: &[&str]) -> Outcome {
        finish(self.world.command(program, self.world.server()).args(options))
    }

    /// Both Maildirs by the names of IMAP, without what is excluded.
    fn trees(&self) -> [Tree; 2] {
        let tree = |root: &Path, name: &dyn Fn(&str) -> String| {
            let mut tree = Tree::read(root);
            let mut folders = std::mem::take(&mut tree.folders);
            tree.folders = FOLDERS
                .iter()
                .map(|folder| (PathBuf::from(folder), folders.remove(Path::new(&name(folder))).unwrap_or_default()))
                .collect();
            for folder in EXCLUDED {
                folders.remove(Path::new(&name(folder)));
            }
            let more: Vec<_> = folders.iter().filter(|(_, messages)| !messages.is_empty()).collect();
            assert!(more.is_empty(), "folders that nobody made: {more:?}");
            // The two programs gave each its own time, and a change of that alone is not synchronised.
            tree.folders.values_mut().flat_map(BTreeMap::values_mut).flatten().for_each(|one| one.mtime = (0, 0));
            tree
        };
        [tree(&self.mail, &|folder| folder.to_owned()), tree(&self.world.server().maildir(), &moving::there)]
    }

    fn is_equal(&self) {
        let [here, there] = self.trees();
        let differences = here.differences(&there);
        assert!(differences.is_empty(), "{}", differences[..differences.len().min(20)].join("\n"));
    }
}

/// How often each message is in a Maildir, by the id that its bytes carry; fields that went do not count.
fn ids(root: &Path) -> BTreeMap<Vec<u8>, usize> {
    let mut counts = BTreeMap::new();
    for found in tree::list(root) {
        let bytes = fs::read(found.path(root)).expect("a message");
        *counts.entry(mail::id(&bytes).expect("an id").to_vec()).or_default() += 1;
    }
    counts
}

#[test]
fn a_maildir_of_offlineimap_and_one_of_dovecot_become_one_without_duplicates_or_transfers() {
    let the = Move::begin();
    let Made { both, only_here, only_there, with_field, .. } = the.made;
    assert!(with_field > 500 && only_here > 50 && only_there > 50, "{:?}", the.made);
    let here_before = ids(&the.mail);
    let spam = Tree::read(&the.mail.join("Spam"));

    // Who forgets the fields has one message of both copies all the same.
    let forgot = the.here("smd-sync", &["-d", "--json"]).ok();
    assert_eq!((forgot.number("/pulled/new"), forgot.number("/pushed/new")), (only_there as u64, only_here as u64));
    assert_eq!(forgot.number("/pulled/copied") + forgot.number("/pushed/copied"), 0, "{forgot}");
    let most = the.there("smd-strip-header", &["-d", "--json", "Maildir"]).ok();
    assert_eq!(most.number("/found"), with_field as u64);
    the.there("smd-strip-header", &["Maildir"]).ok().says(&format!("removed from {with_field} of"));
    the.here("smd-strip-header", &["Mail"]).ok().says("nothing to remove");

    let plan = the.here("smd-uniform-names", &["--json"]).ok().json();
    let counts = &plan["roots"][0]["counts"];
    assert_eq!(
        ["here", "renamed", "other_header", "only_here"].map(|key| counts[key].as_u64()),
        [both + only_here, both, 0, only_here].map(|count| Some(count as u64)),
        "{counts}"
    );
    assert_eq!(plan["roots"][0]["names"]["offlineimap"].as_u64(), Some(both as u64));

    let script = the.here("smd-uniform-names", &["--script"]).ok().stdout;
    assert_eq!(script.lines().filter(|line| line.starts_with("mv -n -- ")).count(), both);
    assert!(script.contains("/Mail/INBOX/cur/") && script.contains("/Mail/Lists.two words/cur/"));

    let dry = the.here("smd-sync", &["-d", "--json"]).ok();
    assert_eq!((dry.number("/pulled/new"), dry.number("/pushed/new")), (only_there as u64, only_here as u64));
    let first = the.here("smd-sync", &["--json"]).ok();
    assert_eq!((first.number("/pulled/new"), first.number("/pushed/new")), (only_there as u64, only_here as u64));
    assert_eq!((first.number("/pulled/copied"), first.number("/pushed/copied"), first.deleted()), (0, 0, 0), "{first}");
    the.is_equal();
    the.here("smd-verify", &[]).ok();

    // Every message is there as often as it was, and no file has the field.
    let after = ids(&the.mail);
    assert!(here_before.iter().all(|(id, count)| after[id] == *count));
    assert_eq!(after.len(), here_before.len() + only_there);
    let server = the.world.server().maildir();
    assert!(
        !tree::list(&server)
            .iter()
            .any(|one| fs::read(one.path(&server)).expect("a message").starts_with(FIELD.as_bytes()))
    );

    // What is no mail, and what is excluded, is as it was.
    assert!(the.mail.join(".notmuch/inbox").is_symlink() && the.mail.join("sent-mail").is_symlink());
    assert!(!server.join(".notmuch").exists() && !server.join("..notmuch").exists() && !the.mail.join("cur").exists());
    assert_eq!(Tree::read(&the.mail.join("Spam")), spam);
    assert_eq!(fs::read_to_string(server.join("dovecot-uidlist")).expect("a control file"), "INBOX dovecot-uidlist\n");

    let idle = the.here("smd-sync", &["--json"]).ok();
    assert_eq!((idle.steps(), idle.round_trips()), (0, 1), "{idle}");
}

#[test]
fn a_config_of_offlineimap_becomes_one_that_this_test_would_use() {
    let world = World::new(Link::Rsh);
    let rc = world.dir().join("offlineimaprc");
    let text = "[general]\naccounts = office\n\n[Account office]\nlocalrepository = here\nremoterepository = there\n\n\
                [Repository here]\ntype = Maildir\nlocalfolders = ~/Mail\n\n[Repository there]\ntype = IMAP\nremotehost = office\n\
                folderfilter = lambda folder: folder not in ['Spam', 'Lists.huge']\n";
    fs::write(&rc, text).expect("their config");
    let import = ["--import", "offlineimap", rc.to_str().expect("ASCII")];
    let check = |options: &[&str]| finish(world.command("smd-check-conf", world.client()).args(options));
    check(&import).ok().says("CHECK:").says("smd-check-conf office");
    let made = fs::read_to_string(world.client().smd_home().join("config.office")).expect("a config");
    for line in [
        "SERVERNAME=office",
        "MAILBOX_LOCAL=Mail",
        "MAILBOX_REMOTE=Maildir",
        "TRANSLATOR_LR='smd-translate -m inbox -d LR office'",
        "EXCLUDE_REMOTE='Maildir/.Spam Maildir/.Lists.huge'",
    ] {
        assert!(made.lines().any(|one| one == line), "{line}\n{made}");
    }
    check(&import).exits(78).says("exists already");
    // It is a config: the translators are understood, and the mail is found.
    moving::make(&world.client().home.join("Mail"), &world.server().maildir(), 20, &mut Rng::from_env_or(49));
    check(&["-e", &world.rsh_script().display().to_string(), "office"]).ok();
}

#[test]
fn the_page_names_every_step_of_the_test() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/MIGRATING.md")).expect("the page");
    for step in [
        "smd-check-conf --import",
        "smd-strip-header -d",
        "smd-uniform-names NAME",
        "smd-sync -d NAME",
        "smd-verify NAME",
    ] {
        assert!(page.contains(step), "{step}");
    }
}
