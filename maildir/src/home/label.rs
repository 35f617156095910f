//! Labels of peers and stems of roots: what names a directory and a file of state.

use smd_protocol::{Digest, seeded};

use crate::store::text;

/// Longest [`Label`], in bytes.
pub use smd_protocol::limits::LABEL_MAX;
/// Longest [`stem`], in bytes: every suffix that a state file gets still fits in a file name.
pub const STEM_MAX: usize = 200;

/// The name of a peer, safe as a file name: 1 to 100 of `A-Z a-z 0-9 . _ @ + -`, not beginning with a dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Label(String);

/// Why a label was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{label:?} cannot name a peer: {why}")]
pub struct LabelError {
    /// The label as it came, cut to 100 bytes and made printable.
    pub label: String,
    /// The rule that it breaks.
    pub why: &'static str,
}

impl Label {
    /// Parses a label, which may come from the peer.
    ///
    /// # Errors
    /// When it is no [`Label`].
    pub fn parse(label: &[u8]) -> Result<Self, LabelError> {
        let refuse = |why| {
            let shown = smd_protocol::names::printable(&label[..label.len().min(LABEL_MAX)]);
            Err(LabelError { label: shown, why })
        };
        if label.is_empty() {
            return refuse("it is empty");
        }
        if label.len() > LABEL_MAX {
            return refuse("it is longer than 100 bytes");
        }
        if label[0] == b'.' {
            return refuse("it begins with a dot");
        }
        if !label.iter().all(|&b| is_safe(b)) {
            return refuse("only letters, digits and . _ @ + - may stand in it");
        }
        match std::str::from_utf8(label) {
            Ok(label) => Ok(Self(label.to_owned())),
            Err(_) => refuse("it is not ASCII"),
        }
    }

    /// Makes a label from what a person wrote (a host name, a path): bytes that may not stand in one become
    /// `_`, and where anything was changed or cut a digest of the whole keeps two names apart.
    pub fn derive(from: &[u8]) -> Self {
        if let Ok(label) = Self::parse(from) {
            return label;
        }
        let digest = Digest::of(from);
        let kept = from.iter().take(LABEL_MAX - 17).map(|&b| if is_safe(b) { char::from(b) } else { '_' });
        let kept = kept.collect::<String>();
        let letters = digest.letters();
        let tail = letters[..16].iter().map(|&b| char::from(b)).collect::<String>();
        Self(format!("{}+{tail}", kept.trim_start_matches('.')))
    }

    /// 26 lower-case letters and digits: 128 bits in base 32.
    pub(super) fn of_bits(mut bits: u128) -> Self {
        let mut letters = String::with_capacity(26);
        for _ in 0..26 {
            letters.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(bits & 31) as usize]));
            bits >>= 5;
        }
        Self(letters)
    }

    /// The label of what these parts tell, in this order: 26 letters and digits. `kind` keeps labels of different things apart.
    pub fn of_parts(kind: &str, parts: &[&[u8]]) -> Self {
        let mut told = kind.as_bytes().to_vec();
        for part in parts {
            told.push(0);
            told.extend_from_slice(part);
        }
        let bits = Digest::of(&told).0[..16].iter().fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
        Self::of_bits(bits)
    }

    /// This label as the name of a client's state: `+` and it.
    #[must_use]
    pub fn of_client(&self) -> Self {
        Self(format!("+{}", self.0))
    }

    /// This label of a client, among those of the clients of one key: the key's label, `+`, and it. No two keys share one, since no
    /// key's label has a `+`.
    ///
    /// # Errors
    /// When both together are too long.
    pub fn of_key(&self, key: &Self) -> Result<Self, LabelError> {
        Self::parse(format!("{key}+{self}").as_bytes())
    }

    /// Whether a state of this name, or what a run of it buried, belongs to a client of this key.
    pub fn is_key_of(&self, served: &str) -> bool {
        let client = || {
            let (size, rest) = served.strip_prefix('+')?.split_once('+')?;
            rest.get(..size.parse().ok()?)
        };
        client().and_then(|client| client.strip_prefix(&self.0)).is_some_and(|id| id.starts_with('+'))
    }

    /// Under which a server keeps what it has with this client for a pair of roots: client, `+` and pair. Two clients never share one,
    /// whatever stands in their labels, since a client with a `+` in its label is told by its length.
    ///
    /// # Errors
    /// When both together are too long.
    pub fn served(&self, pair: &Self) -> Result<Self, LabelError> {
        Self::parse(format!("{}{pair}", self.served_as()).as_bytes())
    }

    fn served_as(&self) -> String {
        match self.0.contains('+') && !seeded::is("clients-share-a-state") {
            true => format!("+{}+{self}+", self.0.len()),
            false => format!("{self}+"),
        }
    }

    /// Whether a state of this name belongs to a client: also one of an earlier version, which put a dot between the two. Then
    /// clients were called by random ids alone, and only of these it is known where they end.
    pub fn is_served_to(&self, client: &Self) -> bool {
        let earlier = || self.0.strip_prefix(&client.0).is_some_and(|pair| pair.starts_with('.'));
        self.0.starts_with(&client.served_as()) || client.is_of_bits() && earlier()
    }

    /// Whose state one of this name is, as [`Label::served`] made it, up to the first `+` in it: the client, or the key that its
    /// client came with. For counting, since two clients may be one by it.
    pub fn served_whom(&self) -> &str {
        let long = self.0.strip_prefix('+').and_then(|rest| {
            let (length, rest) = rest.split_once('+')?;
            rest.get(..length.parse().ok()?)
        });
        let short = || self.0.split_once('+').map(|(client, _)| client);
        let earlier = || self.0.split_once('.').map_or(&*self.0, |(client, _)| client);
        let client = long.or_else(short).unwrap_or_else(earlier);
        client.split_once('+').map_or(client, |(first, _)| first)
    }

    fn is_of_bits(&self) -> bool {
        self.0.len() == 26 && self.0.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
    }

    /// The label.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'+' | b'-')
}

/// The first part of a root's state files: its path as configured, every byte that is not
/// `A-Z a-z 0-9 . _ @ + -` (and a dot at the beginning) as `%XX`. One that would be longer than
/// [`STEM_MAX`] is cut, and ends in `~` and 32 letters of the path's digest.
pub fn stem(root: &[u8]) -> String {
    let mut out = Vec::with_capacity(root.len() + 16);
    if root.is_empty() {
        out.push(b'%');
    }
    for (at, byte) in root.iter().enumerate() {
        text::escape(&mut out, &[*byte], |b| is_safe(b) && !(at == 0 && b == b'.'));
    }
    if out.len() > STEM_MAX {
        out.truncate(STEM_MAX - 33);
        out.push(b'~');
        out.extend_from_slice(&Digest::of(root).letters());
    }
    out.into_iter().map(char::from).collect()
}

/// The path that has this stem; none when it was cut, or is no stem of ours.
pub fn path_of_stem(stem: &str) -> Option<Vec<u8>> {
    let cut = stem.len() == STEM_MAX && stem.as_bytes()[STEM_MAX - 33] == b'~';
    match stem {
        "%" => Some(Vec::new()),
        _ if cut => None,
        _ => text::unescape(stem.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_hostile_peer_are_refused() {
        for bad in [&b""[..], b".", b"..", b".x", b"a/b", b"a\0", b"a b", b"\xff", "é".as_bytes(), &[b'a'; 101]] {
            assert!(Label::parse(bad).is_err(), "{bad:?}");
        }
        for good in [&b"a"[..], b"me@host.example+2_x-y", b"-", &[b'a'; 100]] {
            assert_eq!(Label::parse(good).expect("good").as_str().as_bytes(), good);
        }
    }

    #[test]
    fn a_key_owns_what_its_clients_leave_and_nothing_of_other_keys() {
        let label = |text: &str| Label::parse(text.as_bytes()).expect("a label");
        let served = |key: &str, client: &str| {
            label(client).of_key(&label(key)).and_then(|client| client.served(&label("pair"))).expect("short enough")
        };
        let laptop = label("laptop");
        assert_eq!(served("laptop", "abc").as_str(), "+10+laptop+abc+pair");
        for (client, is) in [("abc", true), ("a+b", true), ("phone+x", true)] {
            assert_eq!(laptop.is_key_of(served("laptop", client).as_str()), is, "{client}");
        }
        for other in ["phone", "lap", "laptop2"] {
            assert!(!laptop.is_key_of(served(other, "laptop+abc").as_str()), "{other}");
        }
        for other in ["laptop+pair", "abc+pair", "+laptop", "+x+laptop+abc+pair", "+99+laptop+abc", ""] {
            assert!(!laptop.is_key_of(other), "{other}");
        }
        let long = label(&"x".repeat(90)).of_key(&laptop);
        assert!(long.is_ok_and(|client| client.served(&label("pair")).is_err()));
    }

    #[test]
    fn derived_labels_are_labels_and_stay_apart() {
        let names = [
            &b"host"[..],
            b"",
            b".",
            b"../x",
            b"a b",
            b"a_b",
            b"a\xffb",
            &[b'x'; 300],
            &[b'x'; 301],
            b"/home/me/Maildir",
        ];
        let labels = names.map(Label::derive);
        for (at, label) in labels.iter().enumerate() {
            assert_eq!(Label::parse(label.as_str().as_bytes()).as_ref(), Ok(label));
            assert!(!labels[..at].contains(label), "{label}");
        }
        assert_eq!(labels[0].as_str(), "host");
    }

    #[test]
    fn no_two_clients_share_a_state_whatever_is_in_their_labels() {
        let label = |text: &str| Label::parse(text.as_bytes()).expect("a label");
        let id = Label::of_bits(7);
        let clients = ["a", "a.b", "a+b", "a+b+", "+", "+1+a", "a.b+c", id.as_str()].map(label);
        let pairs = ["c", "b.c", "b+c", ".c", "+c", "1+c"].iter().filter_map(|pair| Label::parse(pair.as_bytes()).ok());
        let pairs: Vec<Label> = pairs.collect();
        let mut all = Vec::new();
        for client in &clients {
            for pair in &pairs {
                let state = client.served(pair).expect("short");
                assert!(!all.contains(&state), "{client} {pair} {state}");
                let owners: Vec<&Label> = clients.iter().filter(|client| state.is_served_to(client)).collect();
                assert_eq!(owners, [client], "{state}");
                all.push(state);
            }
        }
        assert_eq!(label("a").served(&label("b.c")).expect("short").as_str(), "a+b.c", "as before");
        assert_eq!(label("a.b").served(&label("c")).expect("short").as_str(), "a.b+c", "as before");
        // Of earlier versions.
        assert!(label(&format!("{id}.work.x")).is_served_to(&id));
        assert!(!label("a.b.c").is_served_to(&label("a")) && !label("a.b.c").is_served_to(&label("a.b")));
    }

    #[test]
    fn labels_of_parts_differ_as_the_parts_do() {
        let of = |kind: &str, parts: &[&[u8]]| Label::of_parts(kind, parts);
        let all = [of("a", &[b"b", b"c"]), of("a", &[b"bc"]), of("a", &[b"b", b"", b"c"]), of("b", &[b"b", b"c"])];
        for (at, label) in all.iter().enumerate() {
            assert_eq!(Label::parse(label.as_str().as_bytes()).as_ref(), Ok(label));
            assert_eq!(label.as_str().len(), 26);
            assert!(!all[..at].contains(label), "{label}");
        }
    }

    #[test]
    fn stems_are_file_names_that_differ_as_the_paths_do() {
        assert_eq!(stem(b"Maildir"), "Maildir");
        assert_eq!(stem(b"/home/me/Mail dir"), "%2Fhome%2Fme%2FMail%20dir");
        assert_eq!(stem(b"../a"), "%2E.%2Fa");
        let long = [b'a'; 1000];
        assert_eq!(stem(&long).len(), STEM_MAX);
        assert_ne!(stem(&long), stem(&long[1..]));
        assert_eq!(stem(&long[..STEM_MAX]).len(), STEM_MAX);
        assert!(!stem(b"").is_empty());
        for path in [&b""[..], b"Maildir", b"/home/me/Mail dir/\xff%", b"../a", &long[..STEM_MAX]] {
            assert_eq!(path_of_stem(&stem(path)).as_deref(), Some(path));
        }
        assert_eq!(path_of_stem(&stem(&long)), None);
        assert_eq!(path_of_stem("a%2"), None);
    }
}
