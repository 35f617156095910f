//! What was tried, and what the oracle forgave: each check that it skipped or weakened where that made a difference, and
//! each content that it owes no longer, by kind.
//!
//! A kind that rises is an oracle that sees less; the model's test has bounds. Deliberately not here: those (`tests/bounds.rs`),
//! and why each is forgiven, which stands where it is.

/// Why the oracle let something pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mercy {
    /// A content that was never synced and that a crash took.
    Unsynced,
    /// Bytes that a crash left of what was never synced.
    Torn,
    /// More messages of a content after a crash than users made.
    Halves,
    /// An mtime that a crash may have taken.
    Mtime,
    /// A content that a tree put back lacked, and whose lack could not be told from a delete.
    Lacking,
    /// A content that was nowhere else when a tree was put back.
    Unkept,
    /// A surplus after a lost state or a tree put back.
    Returned,
    /// A surplus of a content of which users made several.
    Several,
    /// A surplus in a run in which a user acted, or a host crashed.
    Disturbed,
    /// A surplus that was there when everybody rested.
    Rested,
    /// The tree of the one host on which users acted changed: something happened after which it may.
    Mixed,
    /// The same, after users acted beside a run that was cut.
    Doubtful,
    /// The same, where a uniq was twice in a folder or a message was empty.
    Odd,
    /// The same, where a user acted in the middle of the run.
    Meddled,
    /// The same, where a fault kept a folder and only folders differ.
    Folders,
    /// A run that failed since a user acted in the middle of it.
    Failed,
    /// A run that did not do everything since a guard or a policy held something back.
    Held,
    /// A rest that looked at every message, since bytes had changed under their names.
    Looked,
    /// A rest with one more sync, for an empty message or a uniq that was twice.
    Again,
    /// A rest with one more pull, for what was left in a `tmp`.
    Leftovers,
    /// A root that was taken for another, and needed `--adopt`.
    Adopted,
    /// A rest that did not compare the ends of all orders.
    Uncompared,
    /// Ends of orders that differ, where a run told of a conflict.
    Conflict,
    /// Ends that differ in names alone, where folders were adopted.
    Names,
    /// Trees that differ in a second file of a message.
    Twins,
}

/// All kinds, with the words for them.
pub const MERCIES: [(Mercy, &str); 25] = [
    (Mercy::Unsynced, "unsynced"),
    (Mercy::Torn, "torn"),
    (Mercy::Halves, "halves"),
    (Mercy::Mtime, "mtime"),
    (Mercy::Lacking, "lacking"),
    (Mercy::Unkept, "unkept"),
    (Mercy::Returned, "returned"),
    (Mercy::Several, "several"),
    (Mercy::Disturbed, "disturbed"),
    (Mercy::Rested, "rested"),
    (Mercy::Mixed, "mixed"),
    (Mercy::Doubtful, "doubtful"),
    (Mercy::Odd, "odd"),
    (Mercy::Meddled, "meddled"),
    (Mercy::Folders, "folders"),
    (Mercy::Failed, "failed"),
    (Mercy::Held, "held"),
    (Mercy::Looked, "looked"),
    (Mercy::Again, "again"),
    (Mercy::Leftovers, "leftovers"),
    (Mercy::Adopted, "adopted"),
    (Mercy::Uncompared, "uncompared"),
    (Mercy::Conflict, "conflict"),
    (Mercy::Names, "names"),
    (Mercy::Twins, "twins"),
];

/// How often each kind was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgiven([u64; MERCIES.len()]);

impl Forgiven {
    /// So many more of a kind.
    pub fn more(&mut self, mercy: Mercy, times: usize) {
        self.0[mercy as usize] += times as u64;
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(ours, theirs)| *ours += theirs);
    }

    /// The words for each kind, and how often it was used.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        MERCIES.iter().map(|(mercy, word)| (*word, self.0[*mercy as usize]))
    }

    /// All of them in a line.
    pub fn line(&self) -> String {
        self.all().map(|(word, times)| format!("{word} {times}")).collect::<Vec<_>>().join(", ")
    }
}

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Cases.
    pub sequences: u64,
    /// Sessions.
    pub runs: u64,
    /// Faults that struck: errors, crashes, kills, cuts, users in the middle of a run.
    pub faults: u64,
    /// Looks at the promises between two calls.
    pub looks: u64,
    /// What the oracle let pass.
    pub forgiven: Forgiven,
}

impl Figures {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.runs += other.runs;
        self.faults += other.faults;
        self.looks += other.looks;
        self.forgiven.add(&other.forgiven);
    }

    /// All of them in two lines.
    pub fn lines(&self) -> [String; 2] {
        let Self { sequences, runs, faults, looks, forgiven } = self;
        [
            format!("sequences: {sequences}, sessions: {runs}, faults: {faults}, looks between calls: {looks}"),
            format!("forgiven: {}", forgiven.line()),
        ]
    }
}
