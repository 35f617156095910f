//! Which folders are left alone: patterns in the syntax of `.gitignore`, matched against folder
//! paths as a config file writes them.
//!
//! A pattern may also name the directories that hold a folder's mail, as the predecessor's did (`Mail/.foo/cur`,
//! `Mail/.foo/*`, `Mail/cur` for the root itself): it leaves alone that folder (`Pattern`).
//!
//! Both hosts evaluate the same patterns on folder paths below the root, so they agree without
//! asking. Where folders have two names, a folder is left alone when the patterns for either name say so, and so is what
//! lies below it by that name; only the client can ask both ([`Excludes::with`]).
//!
//! Deliberately not here: what "left alone" means to a base (the planner forgets such
//! folders), and where the patterns come from.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use smd_protocol::Folder;
use smd_protocol::names::printable;
use smd_protocol::seeded;

use crate::root::Naming;

/// A root's prefix as written in a config, and the patterns that are matched below it.
pub type ExcludePair = (Vec<u8>, Vec<Vec<u8>>);

/// Patterns taken from a peer or a config, all pairs together; and bytes of one pattern or prefix.
pub use smd_protocol::limits::{PATH_MAX as PATTERN_LEN_MAX, PATTERNS_MAX};

/// Why patterns cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExcludeError {
    /// The syntax is wrong.
    #[error("the exclude pattern `{pattern}` cannot be understood: {why}")]
    Syntax {
        /// The pattern, printable.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// A pattern with bytes that are not UTF-8.
    #[error("the exclude pattern `{0}` is not UTF-8: write ? for each odd byte")]
    NotUtf8(String),
    /// More or longer patterns than anyone needs.
    #[error("there are more than {PATTERNS_MAX} exclude patterns, or one is longer than {PATTERN_LEN_MAX} bytes")]
    TooMany,
}

/// The matcher of one root.
#[derive(Clone, Debug, Default)]
pub struct Excludes {
    pairs: Vec<Compiled>,
    fingerprint: String,
    other: Option<Other>,
}

/// By which names folders are asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// Those of this host's disk.
    Local,
    /// Those of the wire and of bases.
    Canonical,
}

/// The other name of each folder, and its patterns.
#[derive(Clone, Debug)]
struct Other {
    naming: Arc<dyn Naming>,
    pairs: Vec<Compiled>,
    /// By which names is asked; the patterns here are for the others.
    asked: Names,
}

/// The patterns of one prefix.
#[derive(Clone)]
struct Compiled {
    prefix: Vec<u8>,
    /// All of them: by the path of a folder, or of one above it.
    matcher: Gitignore,
    /// Each of them, in order. Clones share what was met.
    patterns: Arc<[Pattern]>,
    /// Whether any names directories that hold mail.
    has_own: bool,
}

/// One pattern.
struct Pattern {
    /// As it was given.
    given: Vec<u8>,
    /// As the matcher has it.
    line: String,
    /// It alone.
    alone: Gitignore,
    /// The folders whose mail it names by the directories that hold it; what is below them stays.
    own: Option<Own>,
    /// Whether anything on this host matched it.
    met: AtomicBool,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let patterns: Vec<String> = self.patterns.iter().map(|pattern| printable(&pattern.given)).collect();
        f.debug_struct("Compiled").field("prefix", &printable(&self.prefix)).field("patterns", &patterns).finish()
    }
}

/// The folders whose own mail a pattern names.
struct Own {
    /// Without the last component of the pattern.
    above: Above,
    /// Whether the root may be one of them. `Mail/*` is everything below it, as in git.
    root: bool,
}

enum Above {
    /// The pattern is `cur` alone: the directory from which paths are written.
    Nothing,
    Matches(Gitignore),
}

impl Excludes {
    /// Compiles all pairs. A folder is excluded when any pair excludes it; within a pair a later
    /// `!pattern` takes back what an earlier one excluded.
    pub fn new(pairs: &[ExcludePair]) -> Result<Self, ExcludeError> {
        let count: usize = pairs.iter().map(|(_, patterns)| patterns.len()).sum();
        let long = |bytes: &Vec<u8>| bytes.len() > PATTERN_LEN_MAX;
        if pairs.len() > PATTERNS_MAX
            || count > PATTERNS_MAX
            || pairs.iter().any(|(prefix, all)| long(prefix) || all.iter().any(long))
        {
            return Err(ExcludeError::TooMany);
        }
        let used = pairs.iter().filter(|(_, patterns)| !patterns.is_empty());
        let pairs: Vec<Compiled> =
            used.clone().map(|(prefix, patterns)| compile(prefix, patterns)).collect::<Result<_, _>>()?;
        let mut fingerprint: String = used.map(text).collect();
        // Once these patterns left nothing alone: what was recorded under them is another set.
        fingerprint.extend(pairs.iter().filter(|pair| pair.has_own).map(|_| '='));
        Ok(Self { pairs, fingerprint, other: None })
    }

    /// The matcher of a root whose folders have two names: `self` and `local` are the patterns for each, and the matcher
    /// is asked by the `asked` ones. Both ways to ask have the same fingerprint and the same answers.
    #[must_use]
    pub fn with(self, local: Self, naming: Arc<dyn Naming>, asked: Names) -> Self {
        let fingerprint = match local.is_empty() {
            true => self.fingerprint.clone(),
            false => format!("{}|{}", self.fingerprint, local.fingerprint),
        };
        let (pairs, others) = match asked {
            Names::Local => (local.pairs, self.pairs),
            Names::Canonical => (self.pairs, local.pairs),
        };
        Self { pairs, fingerprint, other: Some(Other { naming, pairs: others, asked }) }
    }

    /// Whether a folder is left alone. What lies below an excluded folder always is, but where a pattern names the
    /// directories that hold mail; nothing else can leave the root itself (empty) alone.
    pub fn excludes(&self, folder: &Folder) -> bool {
        self.prunes(folder) || self.excludes_alone(folder)
    }

    /// Whether a folder is left alone without what is below it: by its other name, or by the directories that hold its mail.
    pub fn excludes_alone(&self, folder: &Folder) -> bool {
        find_own(&self.pairs, folder).is_some() || self.excludes_by_other_name(folder)
    }

    /// Whether a folder is left alone because of a name that it was not asked about by.
    pub fn excludes_by_other_name(&self, folder: &Folder) -> bool {
        self.other.as_ref().is_some_and(|other| other.excludes(&self.pairs, folder))
    }

    /// Whether everything at and below this directory is left alone, by the name by which it is asked about: no other
    /// name is looked at, so a directory that is no folder needs none.
    pub fn prunes(&self, dir: &Folder) -> bool {
        find(&self.pairs, dir).is_some()
    }

    /// The patterns for the name by which this is asked, without those for the other: what [`Excludes::prunes`] goes by.
    #[must_use]
    pub fn of_this_name(&self) -> Self {
        Self { pairs: self.pairs.clone(), fingerprint: self.fingerprint.clone(), other: None }
    }

    /// The pattern because of which a folder is left alone, as it was given.
    pub fn why(&self, folder: &Folder) -> Option<&[u8]> {
        let found = find_either(&self.pairs, folder);
        let found = found.or_else(|| self.other.as_ref().and_then(|other| other.find(&self.pairs, folder)));
        found.map(|pattern| &pattern.given[..])
    }

    /// All patterns in the order in which they were given, those for the names by which is asked first, and whether any
    /// name that was asked about matched it, or lies where nobody looked. One that takes back counts as matched.
    pub fn met(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let others = self.other.iter().flat_map(|other| &other.pairs);
        let patterns = self.pairs.iter().chain(others).flat_map(|pair| pair.patterns.iter());
        patterns
            .map(|pattern| (&pattern.given[..], pattern.given.starts_with(b"!") || pattern.met.load(Ordering::Relaxed)))
    }

    /// For patterns that nothing matched, the path, as patterns have it, of a folder among these (by the names by which is asked) that their
    /// text names: letter by letter, or else but for dots, capitals and what follows the folder.
    pub fn meant<'a>(&self, folders: impl Iterator<Item = &'a Folder> + Clone) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let asked = self.pairs.iter().flat_map(|pair| pair.meant(folders.clone().cloned()));
        let others = self.other.iter().flat_map(|other| {
            let name = |folder: &Folder| match other.asked {
                Names::Canonical => other.naming.local(folder).ok(),
                Names::Local => other.naming.canonical(folder).ok(),
            };
            let names: Vec<Folder> = folders.clone().filter_map(name).collect();
            other.pairs.iter().flat_map(move |pair| pair.meant(names.clone().into_iter()))
        });
        others.chain(asked).collect()
    }

    /// Whether there is no pattern at all.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.other.as_ref().is_none_or(|other| other.pairs.is_empty())
    }

    /// A text that is equal exactly when prefixes and patterns are. Empty without patterns; one
    /// line, without blanks.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl PartialEq for Excludes {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for Excludes {}

impl Other {
    /// Whether the other name excludes it. A name that cannot be translated excludes nothing.
    fn excludes(&self, own: &[Compiled], folder: &Folder) -> bool {
        !(own.is_empty() && self.pairs.is_empty()) && self.find(own, folder).is_some()
    }

    fn find<'a>(&'a self, own: &'a [Compiled], folder: &Folder) -> Option<&'a Pattern> {
        match self.asked {
            Names::Canonical => self.below_local(&self.pairs, folder),
            Names::Local => {
                let canonical = self.naming.canonical(folder).ok()?;
                find_either(&self.pairs, &canonical).or_else(|| self.below_local(own, &canonical))
            }
        }
    }

    /// The local pattern that excludes this folder, or one above it by canonical names.
    fn below_local<'a>(&self, local: &'a [Compiled], canonical: &Folder) -> Option<&'a Pattern> {
        if local.is_empty() {
            return None;
        }
        let own = || find_own(local, &self.naming.local(canonical).ok()?);
        let mut above = canonical.and_above();
        above.find_map(|folder| find(local, &self.naming.local(&folder).ok()?)).or_else(own)
    }
}

fn find<'a>(pairs: &'a [Compiled], folder: &Folder) -> Option<&'a Pattern> {
    // All are asked, and in every way, so that each notes what it met.
    let found = pairs.iter().map(|pair| pair.find(folder.as_bytes())).fold(None, Option::or)?;
    find_own(pairs, folder);
    Some(found)
}

fn find_own<'a>(pairs: &'a [Compiled], folder: &Folder) -> Option<&'a Pattern> {
    pairs.iter().filter(|pair| pair.has_own).map(|pair| pair.find_own(folder)).fold(None, Option::or)
}

fn find_either<'a>(pairs: &'a [Compiled], folder: &Folder) -> Option<&'a Pattern> {
    find(pairs, folder).or_else(|| find_own(pairs, folder))
}

/// What a pattern is that means just this path and what is below it. A byte that is no UTF-8 becomes `?`, which stands for
/// any one byte.
fn literal(path: &[u8]) -> String {
    let mut pattern = String::new();
    for chunk in path.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if matches!(letter, '\\' | '*' | '?' | '[' | ']' | '{' | '}' | ',' | '!') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.extend(chunk.invalid().iter().map(|_| '?'));
    }
    pattern
}

/// A pattern, for a pair with an empty prefix, that means this folder and what is below it. None for one that no pattern
/// can name.
pub fn pattern_for(folder: &Folder) -> Option<Vec<u8>> {
    let text = str::from_utf8(folder.as_bytes()).ok().filter(|text| !text.is_empty())?;
    let pattern = format!("/{}", literal(text.as_bytes()));
    (pattern.len() <= PATTERN_LEN_MAX).then(|| pattern.into_bytes())
}

impl Compiled {
    fn find(&self, folder: &[u8]) -> Option<&Pattern> {
        // Parents first: nothing is taken back below an excluded folder, as in git. The prefix alone
        // is never asked about, because it is the root.
        let mut path = self.prefix.clone();
        folder.split(|&byte| byte == b'/').filter(|component| !component.is_empty()).find_map(|component| {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
            match self.matcher.matched(as_path(&path), true) {
                Match::Ignore(glob) => {
                    self.note(&path, true);
                    self.patterns.iter().find(|pattern| pattern.line == glob.original())
                }
                Match::Whitelist(_) => {
                    self.note(&path, false);
                    None
                }
                Match::None => None,
            }
        })
    }

    /// The last pattern that names this folder's own mail, unless a later one takes the folder back.
    fn find_own(&self, folder: &Folder) -> Option<&Pattern> {
        let path = self.path(folder);
        let named = |pattern: &&Pattern| pattern.names_own(&path, folder.is_root());
        let taken = |pattern: &Pattern| pattern.given.starts_with(b"!");
        self.patterns.iter().filter(|pattern| !taken(pattern) && named(pattern)).for_each(Pattern::note);
        let last = self.patterns.iter().rev().find(|pattern| {
            named(pattern)
                || (taken(pattern) && !path.is_empty() && pattern.alone.matched(as_path(&path), true).is_whitelist())
        });
        last.filter(|pattern| !taken(pattern))
    }

    fn meant(&self, folders: impl Iterator<Item = Folder>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let idle = || self.patterns.iter().filter(|pattern| !pattern.met.load(Ordering::Relaxed));
        if idle().next().is_none() {
            return Vec::new();
        }
        let paths: Vec<Vec<u8>> = folders.filter(|folder| !folder.is_root()).map(|folder| self.path(&folder)).collect();
        let meant = |pattern: &Pattern| {
            let exact = paths.iter().find(|path| **path == pattern.given);
            let close = || paths.iter().find(|path| loosely(path) == loosely(&pattern.given));
            Some((pattern.given.clone(), exact.or_else(close)?.clone()))
        };
        idle().filter_map(meant).collect()
    }

    /// The path of a folder, as patterns have it.
    fn path(&self, folder: &Folder) -> Vec<u8> {
        let parts = [&self.prefix[..], folder.as_bytes()].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(&b'/')
    }

    /// Notes which patterns this path matches, and those that could only match below it where nobody looks.
    fn note(&self, path: &[u8], pruned: bool) {
        for pattern in self.patterns.iter().filter(|pattern| !pattern.met.load(Ordering::Relaxed)) {
            let below = |text: &[u8]| text.strip_prefix(path).is_some_and(|rest| rest.starts_with(b"/"));
            if !pattern.alone.matched(as_path(path), true).is_none() || (pruned && below(&pattern.given)) {
                pattern.note();
            }
        }
    }
}

impl Pattern {
    fn note(&self) {
        self.met.store(true, Ordering::Relaxed);
    }

    /// Whether this names the directories that hold the mail of the folder at `path`.
    fn names_own(&self, path: &[u8], is_root: bool) -> bool {
        let Some(own) = self.own.as_ref().filter(|own| own.root || !is_root) else { return false };
        match &own.above {
            Above::Nothing => path.is_empty(),
            Above::Matches(above) => !path.is_empty() && above.matched(as_path(path), true).is_ignore(),
        }
    }
}

/// Whether a pattern names a whole root, by its path or one above it: as a pattern for folders it would leave none alone.
/// Wildcards count where the pattern tells a depth; a name alone, and `**`, are for folders at every depth.
pub fn names_root(root: &[u8], pattern: &[u8]) -> bool {
    let pattern = pattern.strip_prefix(b"./").unwrap_or(pattern);
    let end = pattern.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    let pattern = &pattern[..end];
    let Ok(text) = str::from_utf8(pattern) else { return false };
    if text.is_empty() || text.starts_with('!') || text.contains("**") {
        return false;
    }
    let deep = text.trim_start_matches('/').contains('/');
    let alone = if deep { single(&as_line(text)) } else { None };
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let ends = root.iter().enumerate().filter(|(at, byte)| **byte == b'/' && *at > 0).map(|(at, _)| at);
    ends.chain([root.len()]).map(|end| &root[..end]).filter(|above| !above.is_empty()).any(|above| {
        let bare = above.strip_prefix(b"/").unwrap_or(above);
        pattern == above
            || text == literal(above)
            || alone.as_ref().is_some_and(|alone| alone.matched(as_path(bare), true).is_ignore())
    })
}

/// What is left of a path when slips of the pen are the same.
fn loosely(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"./").or_else(|| path.strip_prefix(b"/")).unwrap_or(path);
    let end = [&b"/*"[..], b"/cur", b"/new", b"/"].into_iter().find_map(|end| path.strip_suffix(end));
    let parts = end.unwrap_or(path).split(|byte| matches!(byte, b'/' | b'.')).filter(|part| !part.is_empty());
    let parts: Vec<Vec<u8>> = parts.map(|part| part.iter().filter(|&&byte| byte != b'\\').copied().collect()).collect();
    parts.join(&b'/').to_ascii_lowercase()
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

/// The folders whose mail a line names: those above its last component, when that is `cur` or `new`, or has wildcards and
/// matches both. A star behind `cur` or `new` is each file in there.
fn own(line: &str) -> Option<Own> {
    if seeded::is("mail-directories-exclude-nothing") {
        return None;
    }
    let line = line.strip_prefix('!').unwrap_or(line).trim_end_matches('/');
    let split = |text: &'_ str| text.rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned()));
    let (mut above, mut last) = split(line).unwrap_or_else(|| (String::new(), line.to_owned()));
    if !last.is_empty() && last.trim_end_matches('*').is_empty() {
        let files = split(&above).unwrap_or_else(|| (String::new(), above.clone()));
        if matches!(&files.1[..], "cur" | "new") {
            (above, last) = files;
        }
    }
    let wild = last.contains(['*', '?']);
    let both = || {
        let last = single(&format!("/{last}"))?;
        Some(["cur", "new"].iter().all(|dir| last.matched(dir, true).is_ignore()))
    };
    if !matches!(&last[..], "cur" | "new") && both() != Some(true) {
        return None;
    }
    let above = match above.trim_start_matches('/') {
        // One name alone is looked for at every depth, and no folder is called so.
        "" if wild => return None,
        "" => Above::Nothing,
        above => Above::Matches(single(&format!("/{above}"))?),
    };
    Some(Own { above, root: !wild })
}

/// One line alone; none when it is none.
fn single(line: &str) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new(".");
    builder.allow_unclosed_class(false).add_line(None, &ended(line)).ok()?;
    builder.build().ok()
}

fn compile(prefix: &[u8], patterns: &[Vec<u8>]) -> Result<Compiled, ExcludeError> {
    // With this root the matcher takes no part of a path away by itself.
    let mut builder = GitignoreBuilder::new(".");
    // git takes an unclosed class literally; here it is more likely a slip, and worth saying.
    builder.allow_unclosed_class(false);
    let mut compiled = Vec::new();
    for given in patterns {
        let text = str::from_utf8(given).map_err(|_| ExcludeError::NotUtf8(printable(given)))?;
        let wrong = |why: String| ExcludeError::Syntax { pattern: printable(given), why };
        let line = ended(&as_line(text));
        builder.add_line(None, &line).map_err(|why| wrong(why.to_string()))?;
        let alone = single(&line).ok_or_else(|| wrong("it is not a pattern".to_owned()))?;
        let own = own(&as_line(text));
        compiled.push(Pattern { given: given.clone(), line, alone, own, met: AtomicBool::new(false) });
    }
    let all = patterns.iter().map(|pattern| printable(pattern)).collect::<Vec<_>>().join(" ");
    let matcher = builder.build().map_err(|why| ExcludeError::Syntax { pattern: all, why: why.to_string() })?;
    let prefix = prefix.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    let has_own = compiled.iter().any(|pattern| pattern.own.is_some() && !pattern.given.starts_with(b"!"));
    Ok(Compiled { prefix: prefix.collect::<Vec<_>>().join(&b'/'), matcher, patterns: compiled.into(), has_own })
}

/// A pattern as a line of a `.gitignore`, where a `#` in front and blanks at the end would be lost.
fn as_line(pattern: &str) -> String {
    let mut escaped = String::new();
    let mut after_backslash = false;
    for letter in pattern.chars() {
        if letter == ' ' && !after_backslash {
            escaped.push('\\');
        }
        after_backslash = letter == '\\' && !after_backslash;
        escaped.push(letter);
    }
    // A path says the same with these and without; in a pattern they would match nothing.
    for idle in ["/./", "//"] {
        while escaped.contains(idle) {
            escaped = escaped.replace(idle, "/");
        }
    }
    let plain = escaped.strip_prefix("./").unwrap_or(&escaped);
    if plain.starts_with('#') { format!("\\{plain}") } else { plain.to_owned() }
}

/// The line with an end that is kept: other white space than a blank would be cut off.
fn ended(line: &str) -> String {
    match line.char_indices().next_back() {
        Some((at, letter)) if letter != ' ' && letter.is_whitespace() => {
            // A choice of one letter is that letter, escaped or not; a class would be one of bytes.
            let front = &line[..at];
            let escapes = front.len() - front.trim_end_matches('\\').len();
            format!("{}{{{letter}}}", &front[..at - escapes % 2])
        }
        _ => line.to_owned(),
    }
}

fn text((prefix, patterns): &ExcludePair) -> String {
    let mut text = String::new();
    for bytes in std::iter::once(prefix).chain(patterns) {
        // Blanks would make two words of one, so they are written as escapes too.
        text.push_str(&printable(bytes).replace(' ', "\\x20"));
        text.push(':');
    }
    text.push(';');
    text
}

#[cfg(test)]
mod tests;
