//! What one session may do at the server: verbs, and which of them a key has.
//!
//! Both ends use it: the server, which enforces it, and the client, which is told it in Hello (`policy=…`) and plans within it.
//! The table of [`Rights::permits`] is the whole of it; [`verbs`] says what a step needs.
//!
//! Deliberately not here: quantities (budgets, sizes), directories, and where rights come from (the server's arguments).

use std::fmt;
use std::str::FromStr;

use crate::flags::Flags;
use crate::reconcile::{Direction, Side};
use crate::seeded;
use crate::step::{Source, Step};
use crate::told::Told;

/// Something that a client may want of a server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verb {
    /// A folder is made.
    MakeFolder,
    /// A message comes over the wire, under a name that is free.
    Put,
    /// A message is made from one, or the body of one, that the server has.
    Copy,
    /// A message gets another name, or another folder.
    Move,
    /// A message gets other flags but `T`, or goes from `new` to `cur` or back.
    Flags,
    /// A message gets the flag `T`: mail programs delete such ones.
    Trash,
    /// A message gets other bytes.
    Replace,
    /// A message goes into the grave.
    Delete,
    /// An empty folder is removed.
    RemoveFolder,
    /// Bytes of a message are read: all, or its header.
    Fetch,
    /// The common base is forgotten, and both sides are united by content.
    Adopt,
    /// Folders are left alone.
    Excludes,
    /// Messages rest in the grave for longer than the server's own 7 days. For less nobody can ask.
    GraveDays,
    /// What this key removed is listed.
    ListGrave,
    /// From, Subject and Date of what this key removed are read.
    ReadGrave,
    /// What this key removed is brought back.
    BringBack,
    /// The same three of what others removed.
    OthersGrave,
    /// The next base is prepared and committed: of what the server's own look saw, of the common base, and of this session's own steps.
    Commit,
    /// What other keys removed is told.
    Reports,
}

impl Verb {
    /// All of them.
    pub const ALL: [Verb; 19] = [
        Verb::MakeFolder,
        Verb::Put,
        Verb::Copy,
        Verb::Move,
        Verb::Flags,
        Verb::Trash,
        Verb::Replace,
        Verb::Delete,
        Verb::RemoveFolder,
        Verb::Fetch,
        Verb::Adopt,
        Verb::Excludes,
        Verb::GraveDays,
        Verb::ListGrave,
        Verb::ReadGrave,
        Verb::BringBack,
        Verb::OthersGrave,
        Verb::Commit,
        Verb::Reports,
    ];
}

/// What a client may change at the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Push {
    /// Nothing below a root.
    Nothing,
    /// Folders and messages may come, and flags but `T` change.
    AppendOnly,
    /// Everything but what deletes or replaces: a message, its bytes, a folder; nor `T`, at which mail programs delete.
    NoDelete,
    /// Everything.
    All,
}

/// What a key may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rights {
    /// Whether messages may be read.
    pub pull: bool,
    /// What may be changed.
    pub push: Push,
    /// Whether what others removed may be listed and brought back.
    pub undo: bool,
    /// Whether what other keys removed is told.
    pub reports: bool,
}

impl Rights {
    /// The owner's: everything.
    pub const OWNER: Self = Self { pull: true, push: Push::All, undo: true, reports: true };

    /// The table: whether a verb is permitted.
    pub fn permits(self, verb: Verb) -> bool {
        let push = |least: Push| self.push as u8 >= least as u8 || seeded::is("keys-may-push-all");
        match verb {
            Verb::MakeFolder | Verb::Put | Verb::Copy | Verb::Flags | Verb::BringBack => push(Push::AppendOnly),
            Verb::Move => push(Push::NoDelete),
            Verb::Trash | Verb::Replace | Verb::Delete | Verb::RemoveFolder => push(Push::All),
            Verb::Fetch | Verb::ReadGrave => self.pull,
            Verb::Adopt | Verb::Excludes | Verb::GraveDays | Verb::ListGrave | Verb::Commit => true,
            Verb::OthersGrave => self.undo,
            Verb::Reports => self.reports,
        }
    }

    /// The direction that remains of what a run wants; none where nothing of it may be done.
    pub fn within(self, wanted: Direction) -> Option<Direction> {
        let ours = wanted.changes(Side::Ours) && self.pull;
        let theirs = wanted.changes(Side::Theirs) && self.push != Push::Nothing;
        match (ours, theirs) {
            (true, true) => Some(Direction::Sync),
            (true, false) => Some(Direction::Pull),
            (false, true) => Some(Direction::Push),
            (false, false) => None,
        }
    }

    /// Whether this step is permitted; `was` are the flags of the message that it changes, where they are known.
    pub fn permit(self, step: &Step, was: Option<&Flags>) -> bool {
        verbs(step, was).all(|verb| self.permits(verb))
    }
}

/// The beginning of the feature by which a server tells a client what its key may do.
pub const FEATURE: &str = "policy=";
/// The feature by which a server tells that the key is restricted, but not to roots of its own.
pub const UNBOUND: &str = "roots=any-maildir";

/// The feature by which a server tells, once, that the command of the key's line does not limit the key.
pub const NOT_LIMITED: &str = "key=not-limited";

/// The words of `--allow` and the options beside it, joined by commas.
impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let push = match self.push {
            Push::Nothing => &[][..],
            Push::AppendOnly => &["push", "append-only"],
            Push::NoDelete => &["push", "no-delete"],
            Push::All => &["push"],
        };
        let word = |has: bool, word: &'static str| has.then_some(word);
        let words: Vec<&str> = word(self.pull, "pull")
            .into_iter()
            .chain(push.iter().copied())
            .chain(word(self.undo, "undo"))
            .chain(word(self.reports, "reports"))
            .collect();
        f.write_str(&words.join(","))
    }
}

/// The reverse. A word that a later version knows is passed over: what it would permit is not asked for, and what it forbids is
/// refused step by step.
impl FromStr for Rights {
    type Err = std::convert::Infallible;

    fn from_str(words: &str) -> Result<Self, Self::Err> {
        let has = |word: &str| words.split(',').any(|one| one == word);
        let push = match () {
            () if !has("push") => Push::Nothing,
            () if has("append-only") => Push::AppendOnly,
            () if has("no-delete") => Push::NoDelete,
            () => Push::All,
        };
        Ok(Self { pull: has("pull"), push, undo: has("undo"), reports: has("reports") })
    }
}

/// What a server's features say of the key; the owner's rights where they say nothing.
pub fn told(features: &[Told]) -> Rights {
    let words = features.iter().map(Told::escaped).find_map(|feature| feature.strip_prefix(FEATURE).map(str::to_owned));
    words.map_or(Rights::OWNER, |words| words.parse().unwrap_or_else(|never| match never {}))
}

/// What a step needs; `was` are the flags of the message that it changes, where they are known.
pub fn verbs(step: &Step, was: Option<&Flags>) -> impl Iterator<Item = Verb> {
    let trashes = |flags: &Flags| flags.has(b'T') && !was.is_some_and(|was| was.has(b'T'));
    let (first, dress) = match step {
        Step::MakeFolder(_) => (Verb::MakeFolder, None),
        Step::RemoveFolder(_) => (Verb::RemoveFolder, None),
        Step::Put { bytes, .. } if bytes.source == Source::Wire => (Verb::Put, None),
        Step::Put { .. } => (Verb::Copy, None),
        Step::Replace { dress, .. } => (Verb::Replace, Some(dress)),
        Step::Move { from, to, dress } if from == to => (Verb::Flags, Some(dress)),
        Step::Move { dress, .. } => (Verb::Move, Some(dress)),
        Step::Part(_) => (Verb::Move, None),
        Step::Delete(_) => (Verb::Delete, None),
    };
    let trash = dress.is_some_and(|dress| trashes(&dress.flags)).then_some(Verb::Trash);
    [Some(first), trash].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Content;
    use crate::names::{Folder, Name, Uniq};
    use crate::snapshot::Place;
    use crate::step::{Bytes, Dress};

    fn rights(words: &str) -> Rights {
        words.parse().unwrap_or_else(|never| match never {})
    }

    /// The table as the manual has it: a letter for each policy that permits the verb, of (p)ull, p(u)sh, push (a)ppend-only, push
    /// (n)o-delete, and the (o)wner.
    #[test]
    fn each_policy_permits_its_verbs_and_no_other() {
        let policies = [
            ('p', rights("pull")),
            ('u', rights("push")),
            ('a', rights("push,append-only")),
            ('n', rights("push,no-delete")),
        ];
        for (verb, permitted) in [
            (Verb::MakeFolder, "uano"),
            (Verb::Put, "uano"),
            (Verb::Copy, "uano"),
            (Verb::Move, "uno"),
            (Verb::Flags, "uano"),
            (Verb::Trash, "uo"),
            (Verb::Replace, "uo"),
            (Verb::Delete, "uo"),
            (Verb::RemoveFolder, "uo"),
            (Verb::Fetch, "po"),
            (Verb::Adopt, "puano"),
            (Verb::Excludes, "puano"),
            (Verb::GraveDays, "puano"),
            (Verb::ListGrave, "puano"),
            (Verb::ReadGrave, "po"),
            (Verb::BringBack, "uano"),
            (Verb::OthersGrave, "o"),
            (Verb::Commit, "puano"),
            (Verb::Reports, "o"),
        ] {
            for (letter, rights) in policies.into_iter().chain([('o', Rights::OWNER)]) {
                assert_eq!(rights.permits(verb), permitted.contains(letter), "{rights}: {verb:?}");
            }
        }
        assert_eq!(Verb::ALL.len(), 19);
        assert!(rights("pull,undo").permits(Verb::OthersGrave) && rights("pull,reports").permits(Verb::Reports));
    }

    #[test]
    fn words_that_are_not_known_permit_nothing() {
        for (words, is) in
            [("", ""), ("pull,later", "pull"), ("append-only", ""), ("push,no-delete,pull", "pull,push,no-delete")]
        {
            assert_eq!(rights(words).to_string(), is, "{words}");
        }
        assert_eq!(told(&["version=9".into(), "policy=pull".into()]), rights("pull"));
        assert_eq!(told(&["version=9".into()]), Rights::OWNER);
    }

    #[test]
    fn a_run_keeps_the_direction_that_its_key_has() {
        use Direction::{Pull, Push, Sync};
        for (words, wanted, is) in [
            ("pull,push", Sync, Some(Sync)),
            ("pull", Sync, Some(Pull)),
            ("push,append-only", Sync, Some(Push)),
            ("pull", Push, None),
            ("push", Pull, None),
            ("undo", Sync, None),
            ("pull", Pull, Some(Pull)),
        ] {
            assert_eq!(rights(words).within(wanted), is, "{words} {wanted:?}");
        }
    }

    #[test]
    fn a_step_needs_all_that_it_does() {
        let name = |uniq: &str| Name::new(&Folder::root(), &Uniq::parse(uniq.as_bytes()).expect("a uniq"));
        let dress = |flags: &str| Dress { place: Place::Cur, flags: Flags::from_letters(flags) };
        let bytes = || Bytes { content: Content::of(b"x"), source: Source::Wire, mtime: None };
        let moves = |to: &str, flags: &str| Step::Move { from: name("a"), to: name(to), dress: dress(flags) };
        let needs = |step: Step, was: &str| verbs(&step, Some(&Flags::from_letters(was))).collect::<Vec<_>>();
        assert_eq!(needs(moves("a", "S"), ""), [Verb::Flags]);
        assert_eq!(needs(moves("a", ""), "T"), [Verb::Flags]);
        assert_eq!(needs(moves("a", "ST"), "T"), [Verb::Flags]);
        assert_eq!(needs(moves("a", "T"), "S"), [Verb::Flags, Verb::Trash]);
        assert_eq!(needs(moves("b", "T"), ""), [Verb::Move, Verb::Trash]);
        let replace = Step::Replace { at: name("a"), dress: dress("T"), bytes: bytes() };
        assert_eq!(needs(replace, ""), [Verb::Replace, Verb::Trash]);
        let put = Step::Put { to: name("a"), dress: dress("T"), bytes: bytes() };
        assert_eq!(needs(put, ""), [Verb::Put], "what is new may come as it is");
        // Of what is not known the worst is believed.
        assert_eq!(verbs(&moves("a", "T"), None).collect::<Vec<_>>(), [Verb::Flags, Verb::Trash]);
    }
}
