//! Which folders are left alone: patterns in the syntax of `.gitignore`, matched against folder
//! paths as a config file writes them.
//!
//! Both hosts evaluate the same patterns on folder paths below the root, so they agree without
//! asking. Where folders have two names, a folder is left alone when the patterns for either name say so, and so is what
//! lies below it by that name; only the client can ask both ([`Excludes::with`]).
//!
//! Deliberately not here: what "left alone" means to a base (the planner forgets such
//! folders), and where the patterns come from.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder, Glob};
use smd_protocol::Folder;
use smd_protocol::names::printable;

use crate::root::Naming;

/// A root's prefix as written in a config, and the patterns that are matched below it.
pub type ExcludePair = (Vec<u8>, Vec<Vec<u8>>);

/// Patterns taken from a peer or a config, all pairs together.
pub const PATTERNS_MAX: usize = 1_000;
/// Bytes of one pattern or prefix.
pub const PATTERN_LEN_MAX: usize = 4_096;

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

#[derive(Clone, Debug)]
struct Compiled {
    prefix: Vec<u8>,
    matcher: Gitignore,
    /// The patterns as the matcher has them.
    lines: Vec<String>,
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
        let compiled = used.clone().map(|(prefix, patterns)| compile(prefix, patterns)).collect::<Result<_, _>>()?;
        Ok(Self { pairs: compiled, fingerprint: used.map(text).collect(), other: None })
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

    /// Whether a folder is left alone. The root itself (empty) never is; what lies below an excluded folder always is.
    pub fn excludes(&self, folder: &Folder) -> bool {
        self.prunes(folder) || self.excludes_by_other_name(folder)
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

    /// The pattern because of which a folder is left alone, in words of [`Excludes::patterns`].
    pub fn why(&self, folder: &Folder) -> Option<String> {
        let found = find(&self.pairs, folder);
        let found = found.or_else(|| self.other.as_ref().and_then(|other| other.find(&self.pairs, folder)));
        found.map(|glob| spelled(glob.original()))
    }

    /// All patterns, as a config writes them, but those that take back.
    pub fn patterns(&self) -> impl Iterator<Item = String> {
        let others = self.other.iter().flat_map(|other| &other.pairs);
        let lines = self.pairs.iter().chain(others).flat_map(|pair| &pair.lines);
        lines.filter(|line| !line.starts_with('!')).map(|line| spelled(line))
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

    fn find<'a>(&'a self, own: &'a [Compiled], folder: &Folder) -> Option<&'a Glob> {
        match self.asked {
            Names::Canonical => self.below_local(&self.pairs, folder),
            Names::Local => {
                let canonical = self.naming.canonical(folder).ok()?;
                find(&self.pairs, &canonical).or_else(|| self.below_local(own, &canonical))
            }
        }
    }

    /// The local pattern that excludes this folder, or one above it by canonical names.
    fn below_local<'a>(&self, local: &'a [Compiled], canonical: &Folder) -> Option<&'a Glob> {
        let mut above = canonical.and_above().filter(|_| !local.is_empty());
        above.find_map(|folder| find(local, &self.naming.local(&folder).ok()?))
    }
}

fn find<'a>(pairs: &'a [Compiled], folder: &Folder) -> Option<&'a Glob> {
    pairs.iter().find_map(|pair| pair.find(folder.as_bytes()))
}

/// A pattern as a config writes it.
fn spelled(line: &str) -> String {
    printable(line.replace("\\ ", "%20").as_bytes())
}

/// A pattern, for a pair with an empty prefix, that means this folder and what is below it. None for one that no pattern
/// can name.
pub fn pattern_for(folder: &Folder) -> Option<Vec<u8>> {
    let text = str::from_utf8(folder.as_bytes()).ok().filter(|text| !text.is_empty())?;
    let mut pattern = String::from("/");
    for letter in text.chars() {
        if matches!(letter, '\\' | '*' | '?' | '[' | ']' | '{' | '}' | ',' | '!') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    (pattern.len() <= PATTERN_LEN_MAX).then(|| pattern.into_bytes())
}

impl Compiled {
    fn find(&self, folder: &[u8]) -> Option<&Glob> {
        // Parents first: nothing is taken back below an excluded folder, as in git. The prefix alone
        // is never asked about, because it is the root.
        let mut path = self.prefix.clone();
        folder.split(|&byte| byte == b'/').filter(|component| !component.is_empty()).find_map(|component| {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(component);
            match self.matcher.matched(Path::new(OsStr::from_bytes(&path)), true) {
                Match::Ignore(glob) => Some(glob),
                Match::None | Match::Whitelist(_) => None,
            }
        })
    }
}

fn compile(prefix: &[u8], patterns: &[Vec<u8>]) -> Result<Compiled, ExcludeError> {
    // With this root the matcher takes no part of a path away by itself.
    let mut builder = GitignoreBuilder::new(".");
    // git takes an unclosed class literally; here it is more likely a slip, and worth saying.
    builder.allow_unclosed_class(false);
    let mut lines = Vec::new();
    for pattern in patterns {
        let text = str::from_utf8(pattern).map_err(|_| ExcludeError::NotUtf8(printable(pattern)))?;
        let wrong = |why: ignore::Error| ExcludeError::Syntax { pattern: printable(pattern), why: why.to_string() };
        let line = as_line(text);
        builder.add_line(None, &line).map_err(wrong)?;
        lines.push(line);
    }
    let all = patterns.iter().map(|pattern| printable(pattern)).collect::<Vec<_>>().join(" ");
    let matcher = builder.build().map_err(|why| ExcludeError::Syntax { pattern: all, why: why.to_string() })?;
    let prefix = prefix.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    Ok(Compiled { prefix: prefix.collect::<Vec<_>>().join(&b'/'), matcher, lines })
}

/// A pattern as a line of a `.gitignore`, where a `#` in front and blanks at the end would be lost.
fn as_line(pattern: &str) -> String {
    let escaped = pattern.replace(' ', "\\ ");
    let plain = escaped.strip_prefix("./").unwrap_or(&escaped);
    if plain.starts_with('#') { format!("\\{plain}") } else { plain.to_owned() }
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
mod tests {
    use super::*;

    #[track_caller]
    fn excludes(prefix: &str, patterns: &str) -> Excludes {
        let patterns = patterns.split('|').map(|pattern| pattern.as_bytes().to_vec()).collect();
        Excludes::new(&[(prefix.as_bytes().to_vec(), patterns)]).unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn check(prefix: &str, patterns: &str, excluded: &[&str], kept: &[&str]) {
        let matcher = excludes(prefix, patterns);
        for folder in excluded {
            assert!(has(&matcher, folder.as_bytes()), "{patterns} must exclude {folder}");
        }
        for folder in kept {
            assert!(!has(&matcher, folder.as_bytes()), "{patterns} must keep {folder}");
        }
    }

    #[track_caller]
    fn has(matcher: &Excludes, folder: &[u8]) -> bool {
        matcher.excludes(&Folder::parse(folder).expect("a folder"))
    }

    #[test]
    fn a_path_as_configured_excludes_that_folder_and_what_is_below() {
        check("Maildir", "Maildir/.Spam", &[".Spam", ".Spam/a/b"], &["", ".Spam2", "x/.Spam", "Maildir/.Spam"]);
        check("/home/me/Mail", "/home/me/Mail/a b", &["a b"], &["a", "b"]);
        check("./Mail/", "./Mail/x/", &["x"], &["y"]);
        check("", ".Spam|/top", &[".Spam", "a/.Spam", "top"], &["a/top"]);
    }

    #[test]
    fn a_name_alone_matches_at_every_depth() {
        check("Maildir", ".Spam|b*", &[".Spam", "a/.Spam", "bx", "a/by"], &["a", "a/cb"]);
        check("Maildir", "Maildir/**/tmpmail", &["tmpmail", "a/b/tmpmail"], &["a"]);
    }

    #[test]
    fn an_exclamation_mark_takes_back_but_not_below_an_excluded_folder() {
        check("M", "M/*|!M/keep", &["x", "x/keep"], &["keep", ""]);
        check("M", "M/a|!M/a/b", &["a", "a/b"], &[]);
    }

    #[test]
    fn the_root_itself_cannot_be_excluded() {
        check("Maildir", "Maildir", &["x/Maildir"], &["", "x"]);
        check("Maildir", "Maildir/**", &["x"], &[""]);
    }

    #[test]
    fn blanks_and_a_hash_mean_themselves() {
        check("M", "M/a |#x", &["a ", "#x"], &["a", "x"]);
    }

    #[test]
    fn odd_bytes_are_matched_by_question_marks_and_stars() {
        let matcher = excludes("M", "M/?x|M/y*");
        assert!(has(&matcher, b"\xffx") && has(&matcher, b"y\xfe\n"));
        assert!(matches!(Excludes::new(&[(Vec::new(), vec![b"\xff".to_vec()])]), Err(ExcludeError::NotUtf8(_))));
    }

    #[test]
    fn either_side_excludes_for_both() {
        let pair = |prefix: &str, pattern: &str| (prefix.as_bytes().to_vec(), vec![pattern.as_bytes().to_vec()]);
        let both = Excludes::new(&[pair("Mail", "Mail/a"), pair("srv/mail", "srv/mail/b")]).expect("they compile");
        assert!(has(&both, b"a") && has(&both, b"b") && !has(&both, b"c"));
    }

    /// Local names are canonical ones in reverse, by components; `x` has none.
    #[derive(Debug)]
    struct Reverse;

    impl Naming for Reverse {
        fn canonical(&self, local: &Folder) -> Result<Folder, String> {
            let mut all: Vec<&[u8]> = local.components().collect();
            all.reverse();
            if all == [b"x"] { Err("x".to_owned()) } else { Folder::from_components(all).map_err(|e| e.to_string()) }
        }

        fn local(&self, canonical: &Folder) -> Result<Folder, String> {
            self.canonical(canonical)
        }

        fn fingerprint(&self) -> &str {
            "reverse"
        }
    }

    #[test]
    fn a_folder_with_two_names_is_left_alone_by_either_and_both_ways_to_ask_agree() {
        let one = |prefix: &str, patterns: &str| {
            if patterns.is_empty() { Excludes::default() } else { excludes(prefix, patterns) }
        };
        for (canonical, local) in [("", "L/a"), ("C/a", ""), ("C/a", "L/b"), ("C/b/a", "L/c"), ("C/*|!C/a", "")] {
            let with = |asked| one("C", canonical).with(one("L", local), Arc::new(Reverse), asked);
            let (wire, disk) = (with(Names::Canonical), with(Names::Local));
            assert_eq!(wire.fingerprint(), disk.fingerprint());
            let mut left_alone = 0;
            for name in ["", "a", "b", "a/b", "b/a", "a/b/c", "c/b/a", "b/c/a", "c"] {
                let name = Folder::parse(name.as_bytes()).expect("a folder");
                let path = Reverse.local(&name).expect("has one");
                assert_eq!(wire.excludes(&name), disk.excludes(&path), "{canonical} {local}: {name}");
                left_alone += usize::from(wire.excludes(&name));
            }
            assert!(left_alone > 0, "{canonical} {local}");
        }
        let disk = excludes("C", "C/*").with(Excludes::default(), Arc::new(Reverse), Names::Local);
        assert!(has(&disk, b"a/b") && !has(&disk, b"x"), "without a name nothing is excluded by it");
        assert!(!disk.prunes(&Folder::parse(b"a").expect("a folder")), "only the names asked by cut off what is below");
    }

    #[test]
    fn the_pattern_that_excludes_is_named_as_it_was_written() {
        let with = |asked| excludes("C", "C/a b|z").with(excludes("L", "L/c|!L/d"), Arc::new(Reverse), asked);
        let (wire, disk) = (with(Names::Canonical), with(Names::Local));
        let why = |matcher: &Excludes, folder: &str| matcher.why(&Folder::parse(folder.as_bytes()).expect("a folder"));
        assert_eq!(
            (why(&wire, "a b/q"), why(&disk, "q/a b")),
            (Some("C/a%20b".to_owned()), Some("C/a%20b".to_owned()))
        );
        assert_eq!(
            (why(&wire, "q/c"), why(&disk, "c/q"), why(&disk, "d")),
            (Some("L/c".to_owned()), Some("L/c".to_owned()), None)
        );
        assert_eq!(wire.patterns().collect::<Vec<_>>(), ["C/a%20b", "z", "L/c"]);
    }

    #[test]
    fn a_pattern_can_name_one_folder_whatever_is_in_its_name() {
        for name in ["a", "a b ", "!x", "#x", "a*?[b]{c,d}\\", ".a/b c", "a\nb"] {
            let folder = Folder::parse(name.as_bytes()).expect("a folder");
            let pattern = pattern_for(&folder).expect("has one");
            let matcher = Excludes::new(&[(Vec::new(), vec![pattern])]).expect("it compiles");
            assert!(matcher.excludes(&folder) && has(&matcher, format!("{name}/z").as_bytes()), "{name:?}");
            for other in ["x", "ab", &format!("{name}x"), &format!("z/{name}"), "a*b", "c", ".a"] {
                assert!(other == name || !has(&matcher, other.as_bytes()), "{name:?} {other}");
            }
        }
        assert_eq!(
            (pattern_for(&Folder::root()), pattern_for(&Folder::parse(b"\xff").expect("a folder"))),
            (None, None)
        );
    }

    #[test]
    fn nonsense_and_floods_are_refused() {
        assert!(matches!(Excludes::new(&[(Vec::new(), vec![b"a[".to_vec()])]), Err(ExcludeError::Syntax { .. })));
        assert_eq!(Excludes::new(&[(Vec::new(), vec![b"a".to_vec(); PATTERNS_MAX + 1])]), Err(ExcludeError::TooMany));
        assert_eq!(Excludes::new(&[(vec![b'a'; PATTERN_LEN_MAX + 1], Vec::new())]), Err(ExcludeError::TooMany));
    }

    #[test]
    fn the_fingerprint_tells_sets_apart() {
        assert_eq!(Excludes::new(&[(b"M".to_vec(), Vec::new())]).expect("nothing to compile").fingerprint(), "");
        assert!(Excludes::default().is_empty());
        let text = excludes("M", "a b|c");
        assert_eq!(text.fingerprint(), "M:a\\x20b:c:;");
        assert_ne!(text, excludes("M", "a|b|c"));
    }
}
