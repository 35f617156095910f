//! Changes on both sides whose outcome is known beforehand, and a check that it came out.
//!
//! Every message has one owner of the two, who alone moves, edits, copies and deletes it; flags are changed by both, each with
//! letters of their own. So there is exactly one right end, whatever was cut between: the story keeps it in a book and
//! compares both trees with it, message by message.
//!
//! Deliberately not here: clashes and conflicts (their outcome depends on what was carried out before a cut), and
//! processes; who runs or ends them calls [`Story::change`] and [`Story::check`] between.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::populate::{self, Spec};
use crate::rng::Rng;
use crate::stamps;
use crate::tree::{self, Found, Place, Tree};
use crate::user::User;
use crate::world::{Host, World};

/// Letters that each side sets and takes away: client, server.
const LETTERS: [&[u8]; 2] = [b"SF", b"RP"];

/// A message as it must come out.
#[derive(Debug)]
struct Entry {
    owner: usize,
    place: Place,
    flags: BTreeSet<u8>,
    hash: u64,
    /// There is another one with the same bytes: it keeps its uniq when it moves, and only its owner sets flags.
    copied: bool,
}

/// Folder and uniq.
type Key = (PathBuf, Vec<u8>);
/// Messages that their owner changed in this round: who that is, and under which key they come out, if they stay.
type Taken = BTreeMap<Key, (usize, Option<Key>)>;

/// What two people do to two mailboxes, and what must come of it.
#[derive(Debug)]
pub struct Story {
    users: [User; 2],
    roots: [PathBuf; 2],
    homes: [PathBuf; 2],
    book: BTreeMap<Key, Entry>,
    /// Bytes that were deleted or replaced: they must be in a grave.
    buried: BTreeSet<u64>,
    rng: Rng,
    /// What was done, for whoever must understand a failure.
    history: Vec<String>,
}

/// Lines of the history that a failure shows.
const SHOWN: usize = 60;

/// How far a run came that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Neither mail nor base was changed.
    Nothing,
    /// Something was changed, and something was left to do.
    Middle,
    /// Both hosts have agreed on another base.
    Everything,
}

/// What a run may change, as it is now.
#[derive(Debug, PartialEq, Eq)]
pub struct Picture {
    trees: [Tree; 2],
    staged: BTreeSet<PathBuf>,
    bases: Vec<Vec<u8>>,
}

impl Story {
    /// Fills the server's root, and lets the first run be made by the caller before [`Story::change`].
    #[track_caller]
    pub fn begin(world: &World, messages: usize, folders: usize, rng: Rng) -> Self {
        let hosts: [&Host; 2] = [world.client(), world.server()];
        let roots = hosts.map(Host::maildir);
        populate::populate(&roots[1], "first", Spec::plain(messages, folders), &mut rng.fork(1));
        let users = [User::new(&roots[0], "us", rng.fork(2)), User::new(&roots[1], "them", rng.fork(3))];
        let mut story = Self {
            users,
            homes: hosts.map(Host::smd_home),
            book: BTreeMap::new(),
            buried: BTreeSet::new(),
            rng: rng.fork(4),
            roots,
            history: Vec::new(),
        };
        for (number, found) in tree::list(&story.roots[1]).iter().enumerate() {
            story.note(1, found);
            story.book.get_mut(&key(found)).expect("just noted").owner = number % 2;
        }
        story
    }

    /// Both people do about `much` things each; both trees must be equal and as in the book.
    #[track_caller]
    pub fn change(&mut self, much: usize) {
        let mut flagged = Vec::new();
        let mut taken = Taken::new();
        for who in [0, 1] {
            for _ in 0..much {
                if self.rng.chance(40) {
                    // What only one host knows comes out as if it had never been otherwise.
                    let key = self.deliver(who);
                    taken.insert(key.clone(), (who, Some(key)));
                }
                for _ in 0..2 {
                    if self.rng.chance(80) {
                        self.act(who, &mut taken);
                    }
                }
                flagged.extend(self.pick(|entry| !entry.copied || entry.owner == who).map(|key| (who, key)));
            }
        }
        for (who, key) in flagged {
            match taken.get(&key) {
                None => self.flag(who, &key, Some(&key)),
                // Flags of a message that the other one moves, edits or deletes at the same time.
                Some((owner, now)) if *owner != who => self.flag(who, &key, now.as_ref()),
                Some(_) => {}
            }
        }
        if self.rng.chance(20) {
            let name = format!("folder {}", self.rng.number());
            let who = self.rng.index(2);
            self.users[who].make_folder(name);
        }
    }

    /// Writes into the history what somebody else did.
    pub fn remember(&mut self, what: String) {
        self.history.push(what);
    }

    fn tell(&mut self, who: usize, what: &str, key: &Key) {
        let (side, uniq) = (["us", "them"][who], OsStr::from_bytes(&key.1));
        self.history.push(format!("{side} {what} {uniq:?} in {:?}", key.0));
    }

    /// Both people get new mail; nothing else, so that it may happen between two cuts.
    #[track_caller]
    pub fn deliver_to_both(&mut self) {
        self.deliver(0);
        self.deliver(1);
    }

    /// New mail in every folder at both, so that the next run touches each `tmp/`.
    #[track_caller]
    pub fn deliver_everywhere(&mut self) {
        for who in [0, 1] {
            for folder in tree::folders(&self.roots[who]) {
                let found = self.users[who].deliver(&folder);
                self.note(who, &found);
            }
        }
    }

    /// Fails unless both trees hold exactly what the book says, each message once.
    #[track_caller]
    pub fn check(&self) {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.compare()));
        if let Err(why) = result {
            let last = self.history.len().saturating_sub(SHOWN);
            eprintln!("what was done before:\n{}", self.history[last..].join("\n"));
            std::panic::resume_unwind(why);
        }
    }

    #[track_caller]
    fn compare(&self) {
        tree::assert_equal_trees(&self.roots[0], &self.roots[1]);
        let tree = Tree::read(&self.roots[0]);
        for ((folder, uniq), entry) in &self.book {
            let there = tree.folders.get(folder).is_some_and(|messages| messages.contains_key(uniq));
            assert!(
                there,
                "{:?} in {folder:?} is lost; its bytes are {:?}",
                OsStr::from_bytes(uniq),
                self.whereabouts(entry.hash)
            );
            let message = tree.message(folder, uniq);
            let flags: Vec<u8> = entry.flags.iter().copied().collect();
            let (found, expected) = ((message.place, &message.flags), (entry.place, &flags));
            assert_eq!(found, expected, "place and flags of {:?} in {folder:?}", OsStr::from_bytes(uniq));
            assert_eq!(message.hash, entry.hash, "bytes of {:?} in {folder:?}", OsStr::from_bytes(uniq));
        }
        if tree.len() != self.book.len() {
            for (folder, messages) in &tree.folders {
                for uniq in messages.keys() {
                    let known = self.book.contains_key(&(folder.clone(), uniq.clone()));
                    assert!(known, "{:?} in {folder:?} is back, or a duplicate", OsStr::from_bytes(uniq));
                }
            }
        }
    }

    /// All files that have these bytes, graves and states included.
    fn whereabouts(&self, hash: u64) -> Vec<PathBuf> {
        let places = self.roots.iter().chain(&self.homes).filter(|place| place.is_dir());
        let files = places.flat_map(|place| stamps::files(place, |_| true));
        files.filter(|(_, (bytes, _))| tree::hash(bytes) == hash).map(|(path, _)| path).collect()
    }

    /// Fails when a cut left a file in `tmp/`, a burial that nobody looked at, or when what was deleted is in no grave.
    #[track_caller]
    pub fn check_leftovers(&self) {
        let staged = self.staged();
        assert!(staged.is_empty(), "left in tmp/: {staged:?}");
        let mut rest = BTreeSet::new();
        for grave in self
            .roots
            .iter()
            .map(|root| root.join("..smd-grave"))
            .chain(self.homes.clone().map(|home| home.join("grave")))
        {
            for (path, (bytes, _)) in stamps::files(&grave, |_| true) {
                assert_ne!(path.extension(), Some(OsStr::new("t")), "{path:?} was taken and never looked at");
                rest.insert(tree::hash(&bytes));
            }
        }
        let lost = self.buried.difference(&rest).count();
        assert_eq!(lost, 0, "{lost} of {} deleted or replaced messages are in no grave", self.buried.len());
    }

    /// What there is now.
    #[track_caller]
    pub fn picture(&self) -> Picture {
        let trees = [0, 1].map(|host: usize| Tree::read(&self.roots[host]));
        // A pair of directories has both bases in one home.
        let homes: BTreeSet<&PathBuf> = self.homes.iter().filter(|home| home.is_dir()).collect();
        let bases = homes.iter().flat_map(|home| stamps::bases(home)).map(|(_, (bytes, _))| bytes).collect();
        Picture { trees, staged: self.staged(), bases }
    }

    /// The directories that a run changes first.
    pub fn dirs(&self) -> Vec<PathBuf> {
        let folders =
            self.roots.iter().flat_map(|root| tree::folders(root).into_iter().map(move |folder| root.join(folder)));
        folders.flat_map(|folder| ["tmp", "new", "cur"].map(|dir| folder.join(dir))).collect()
    }

    fn staged(&self) -> BTreeSet<PathBuf> {
        let mut staged = BTreeSet::new();
        for root in &self.roots {
            for folder in tree::folders(root) {
                staged.extend(stamps::files(&root.join(folder).join("tmp"), |_| true).into_keys());
            }
        }
        staged
    }

    #[track_caller]
    fn deliver(&mut self, who: usize) -> Key {
        let folders = tree::folders(&self.roots[who]);
        let folder = self.rng.pick(&folders).clone();
        let found = self.users[who].deliver(&folder);
        self.note(who, &found);
        self.tell(who, "get", &key(&found));
        key(&found)
    }

    /// One change that only the owner makes.
    #[track_caller]
    fn act(&mut self, who: usize, taken: &mut Taken) {
        let Some(from) = self.pick(|entry| entry.owner == who).filter(|key| !taken.contains_key(key)) else { return };
        let Some(found) = self.found(who, &from) else { return };
        let copied = self.book[&from].copied;
        let folder = self.rng.pick(&tree::folders(&self.roots[who])).clone();
        match self.rng.within(0..10) {
            0..4 if folder != from.0 => {
                let same_name = copied || self.rng.chance(50);
                let to = self.users[who].move_to(&found, &folder, same_name);
                self.tell(who, &format!("move to {:?} in {folder:?}", to.name), &from);
                let entry = self.book.remove(&from).expect("it was picked from the book");
                taken.insert(key(&to), (who, Some(key(&to))));
                taken.insert(from, (who, Some(key(&to))));
                self.book.insert(key(&to), entry);
            }
            // A copy that comes while another goes is a move.
            _ if copied => {}
            4..7 => {
                self.users[who].delete(&found);
                self.tell(who, "delete", &from);
                let entry = self.book.remove(&from).expect("it was picked from the book");
                self.buried.insert(entry.hash);
                taken.insert(from, (who, None));
            }
            7..9 => {
                self.users[who].edit_header(&found);
                self.tell(who, "edit", &from);
                let hash = tree::hash(&self.users[who].bytes(&found));
                let entry = self.book.get_mut(&from).expect("it was picked from the book");
                self.buried.insert(std::mem::replace(&mut entry.hash, hash));
                taken.insert(from.clone(), (who, Some(from)));
            }
            _ => {
                let to = self.users[who].copy_to(&found, &folder);
                self.tell(who, &format!("copy to {:?} in {folder:?}", to.name), &from);
                self.note(who, &to);
                for key in [from, key(&to)] {
                    self.book.get_mut(&key).expect("both are in the book").copied = true;
                    taken.insert(key.clone(), (who, Some(key)));
                }
            }
        }
    }

    /// Sets a letter of one's own, or takes it away; the message comes out under `now`, or is to go all the same.
    #[track_caller]
    fn flag(&mut self, who: usize, key: &Key, now: Option<&Key>) {
        let Some(found) = self.found(who, key) else { return };
        if now.is_some_and(|now| self.book[now].copied && self.book[now].owner != who) {
            return;
        }
        let letter = *self.rng.pick(LETTERS[who]);
        let toggle = |flags: &mut BTreeSet<u8>| {
            if !flags.remove(&letter) {
                flags.insert(letter);
            }
        };
        let mut flags: BTreeSet<u8> = found.flags().into_iter().collect();
        toggle(&mut flags);
        let letters: Vec<u8> = flags.into_iter().collect();
        self.users[who].set_flags(&found, &String::from_utf8_lossy(&letters));
        self.tell(who, &format!("toggle {:?} of", char::from(letter)), key);
        if let Some(entry) = now.and_then(|now| self.book.get_mut(now)) {
            entry.place = Place::Cur;
            toggle(&mut entry.flags);
        }
    }

    fn pick(&mut self, choose: impl Fn(&Entry) -> bool) -> Option<Key> {
        let all: Vec<&Key> = self.book.iter().filter(|(_, entry)| choose(entry)).map(|(key, _)| key).collect();
        if all.is_empty() { None } else { Some((*self.rng.pick(&all)).clone()) }
    }

    /// The message as it is at one host now; none where it is elsewhere yet.
    fn found(&self, who: usize, key: &Key) -> Option<Found> {
        let mut all = self.users[who].list().into_iter();
        all.find(|found| found.folder == key.0 && found.uniq() == key.1)
    }

    #[track_caller]
    fn note(&mut self, who: usize, found: &Found) {
        let hash = tree::hash(&self.users[who].bytes(found));
        let flags = found.flags().into_iter().collect();
        self.book.insert(key(found), Entry { owner: who, place: found.place, flags, hash, copied: false });
    }
}

impl Picture {
    /// Whether the mail of a run that began at `before` is done, and both hosts have all that is needed to agree on the base
    /// that it made, also if not both have taken it yet: whoever changes mail now finds it compared with that base.
    pub fn is_prepared(&self, before: &Self) -> bool {
        self.made_a_base(before) && self.trees[0].differences(&self.trees[1]).is_empty()
    }

    /// How far a run came that began at `before` and left this.
    pub fn since(&self, before: &Self) -> Progress {
        if self == before {
            Progress::Nothing
        } else if self.made_a_base(before) && self.bases.iter().all(|base| last_record(base).starts_with(b"commit ")) {
            Progress::Everything
        } else {
            Progress::Middle
        }
    }

    /// Whether both have a base that neither had. (A run begins with the old base that both have, and drops what one alone has
    /// prepared: then both files agree again, and nothing was made.)
    fn made_a_base(&self, before: &Self) -> bool {
        let ids = |bases: &[Vec<u8>]| bases.iter().map(|base| id(last_record(base))).collect::<BTreeSet<_>>();
        let (now, then) = (ids(&self.bases), ids(&before.bases));
        self.bases.len() == 2 && now.len() == 1 && now.is_disjoint(&then)
    }
}

/// Counter and letters of a record.
fn id(record: &[u8]) -> Vec<u8> {
    record.split(|byte| *byte == b' ').skip(1).take(2).collect::<Vec<_>>().join(&b' ')
}

/// The last `next` or `commit` line of a base file.
fn last_record(base: &[u8]) -> &[u8] {
    let mut lines = base.split(|byte| *byte == b'\n').rev();
    lines.find(|line| line.starts_with(b"next ") || line.starts_with(b"commit ")).unwrap_or_default()
}

fn key(found: &Found) -> Key {
    (found.folder.clone(), found.uniq().to_vec())
}
