//! The translations that are built in: pure functions on the components of a folder's path below its root.
//!
//! *Local* is this host's name of a folder, *remote* the server's. Each mode goes both ways, and what one way gives the
//! other way takes back; a name for which that is impossible is refused, with the reason.
//!
//! | mode | remote | local |
//! | --- | --- | --- |
//! | `oimap-dovecot`, `default` | `Maildir`, `Maildir/.sub.folder` | `Mail`, `Mail/sub.folder` |
//! | `inbox` | `Maildir`, `Maildir/.sub.folder` | `Mail/INBOX`, `Mail/sub.folder` |
//! | `nodots` | `Maildir`, `Maildir/.sub.folder` | `Mail`, `Mail/sub/folder` |
//! | `nodots-inbox` | `Maildir`, `Maildir/.sub.folder` | `Mail/INBOX`, `Mail/sub/folder` |
//! | `nodots2` | `Maildir`, `Maildir/sub/folder` | `Mail`, `Mail/..sub.folder` |
//! | `move`, `cat` | `Maildir`, `Maildir/any/thing` | `Mail`, `Mail/any/thing` |
//!
//! Deliberately not here: whether the result may be a folder (`cur`, `..`, too long), which is checked for every
//! translator alike.

use smd_protocol::Folder;

/// Which way a name is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From this host's name to the server's.
    LocalToRemote,
    /// From the server's name to this host's.
    RemoteToLocal,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::LocalToRemote, Self::RemoteToLocal];

    /// As `-d` has it.
    pub fn parse(word: &[u8]) -> Option<Self> {
        Self::BOTH.into_iter().find(|way| way.word().as_bytes() == word)
    }

    /// As `-d` has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::LocalToRemote => "LR",
            Self::RemoteToLocal => "RL",
        }
    }

    /// The config's key for it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::LocalToRemote => "TRANSLATOR_LR",
            Self::RemoteToLocal => "TRANSLATOR_RL",
        }
    }

    /// The other way.
    #[must_use]
    pub const fn back(self) -> Self {
        match self {
            Self::LocalToRemote => Self::RemoteToLocal,
            Self::RemoteToLocal => Self::LocalToRemote,
        }
    }
}

/// A translation that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `oimap-dovecot` or `default`.
    OimapDovecot,
    /// `inbox`.
    Inbox,
    /// `nodots`.
    Nodots,
    /// `nodots-inbox`.
    NodotsInbox,
    /// `nodots2`.
    Nodots2,
    /// `move` or `cat`: nothing but the root differs.
    Move,
}

/// What a person may write after `-m`.
const WORDS: [(&str, Mode); 8] = [
    ("oimap-dovecot", Mode::OimapDovecot),
    ("default", Mode::OimapDovecot),
    ("inbox", Mode::Inbox),
    ("nodots", Mode::Nodots),
    ("nodots-inbox", Mode::NodotsInbox),
    ("nodots2", Mode::Nodots2),
    ("move", Mode::Move),
    ("cat", Mode::Move),
];

/// The local folder that is the remote root in the modes that have one.
const INBOX: &[u8] = b"INBOX";

impl Mode {
    /// Each mode once.
    pub const ALL: [Self; 6] =
        [Self::OimapDovecot, Self::Inbox, Self::Nodots, Self::NodotsInbox, Self::Nodots2, Self::Move];

    /// As `-m` has it.
    pub fn parse(word: &[u8]) -> Option<Self> {
        WORDS.iter().find(|(name, _)| name.as_bytes() == word).map(|(_, mode)| *mode)
    }

    /// All words for `-m`.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// As `-m` has it.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, mode)| *mode == self).map_or("", |(word, _)| word)
    }

    /// Whether the remote root is the local folder `INBOX`.
    const fn has_inbox(self) -> bool {
        matches!(self, Self::Inbox | Self::NodotsInbox)
    }

    /// Translates a folder's components. The error says why it has no name there.
    pub fn translate(self, way: Way, folder: &[&[u8]]) -> Result<Vec<Vec<u8>>, &'static str> {
        if self.has_inbox() {
            match (way, folder) {
                (Way::RemoteToLocal, []) => return Ok(vec![INBOX.to_vec()]),
                (Way::LocalToRemote, [INBOX]) => return Ok(Vec::new()),
                (Way::RemoteToLocal, [b".INBOX"]) => return Err("would be INBOX here, which is the server's root"),
                (Way::LocalToRemote, []) => return Err("is the root, and the server's root is INBOX here"),
                _ => {}
            }
        }
        match (self, folder) {
            (_, []) => Ok(Vec::new()),
            (Self::Move, _) => Ok(folder.iter().map(|part| part.to_vec()).collect()),
            (Self::OimapDovecot | Self::Inbox, [first, below @ ..]) => {
                let first = match way {
                    Way::LocalToRemote => [b".", *first].concat(),
                    Way::RemoteToLocal => after_dot(first)?.to_vec(),
                };
                Ok(std::iter::once(first).chain(below.iter().map(|part| part.to_vec())).collect())
            }
            (Self::Nodots | Self::NodotsInbox, _) => match way {
                Way::LocalToRemote => Ok(vec![[b".", &*joined(folder)?].concat()]),
                Way::RemoteToLocal => split(after_dot(alone(folder)?)?),
            },
            (Self::Nodots2, _) => match way {
                Way::LocalToRemote => {
                    split(alone(folder)?.strip_prefix(b"..").ok_or("does not begin with two dots, as folders do here")?)
                }
                Way::RemoteToLocal => Ok(vec![[b"..", &*joined(folder)?].concat()]),
            },
        }
    }

    /// Translates a folder, and checks that the result can be one. The error says why it has no name there.
    pub fn folder(self, way: Way, folder: &Folder) -> Result<Folder, String> {
        let parts: Vec<&[u8]> = folder.components().collect();
        let translated = self.translate(way, &parts)?;
        Folder::from_components(translated.iter().map(Vec::as_slice)).map_err(|error| format!("has no name: {error}"))
    }
}

fn after_dot(name: &[u8]) -> Result<&[u8], &'static str> {
    match name.strip_prefix(b".") {
        Some(b"") | None => Err("does not begin with a dot, as folders below the root do there"),
        Some(rest) => Ok(rest),
    }
}

fn alone<'a>(folder: &[&'a [u8]]) -> Result<&'a [u8], &'static str> {
    match folder {
        [one] => Ok(one),
        _ => Err("is a directory within a directory, where dots stand for these"),
    }
}

fn joined(folder: &[&[u8]]) -> Result<Vec<u8>, &'static str> {
    if folder.iter().any(|part| part.contains(&b'.')) {
        return Err("has a dot in its name, and a dot stands for a slash at the other host");
    }
    Ok(folder.join(&b'.'))
}

fn split(name: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let parts: Vec<Vec<u8>> = name.split(|&byte| byte == b'.').map(<[u8]>::to_vec).collect();
    if parts.iter().any(Vec::is_empty) {
        return Err("has two dots in a row, or one at the end, and a dot stands for a slash at the other host");
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str) -> Folder {
        Folder::parse(path.as_bytes()).expect("a folder")
    }

    /// Mode, remote, local. The first lines are the predecessor's manual's.
    const EXAMPLES: [(&str, &str, &str); 20] = [
        ("oimap-dovecot", "", ""),
        ("oimap-dovecot", ".sub.folder", "sub.folder"),
        ("nodots", "", ""),
        ("nodots", ".sub.folder", "sub/folder"),
        ("nodots2", "", ""),
        ("nodots2", "sub/folder", "..sub.folder"),
        ("move", "", ""),
        ("move", ".sub.folder", ".sub.folder"),
        ("default", ".sub.folder", "sub.folder"),
        ("oimap-dovecot", ".a b", "a b"),
        ("oimap-dovecot", "..hidden", ".hidden"),
        ("oimap-dovecot", ".a/b", "a/b"),
        ("inbox", "", "INBOX"),
        ("inbox", ".sub.folder", "sub.folder"),
        ("inbox", ".INBOX.x", "INBOX.x"),
        ("nodots-inbox", "", "INBOX"),
        ("nodots-inbox", ".INBOX.x", "INBOX/x"),
        ("nodots-inbox", ".sub.folder", "sub/folder"),
        ("cat", "a/b.c", "a/b.c"),
        ("nodots2", "a b", "..a b"),
    ];

    #[test]
    fn the_documented_examples_are_translated_as_documented_both_ways() {
        for (mode, remote, local) in EXAMPLES {
            let mode = Mode::parse(mode.as_bytes()).expect("a mode");
            assert_eq!(mode.folder(Way::RemoteToLocal, &folder(remote)), Ok(folder(local)), "{mode:?} {remote}");
            assert_eq!(mode.folder(Way::LocalToRemote, &folder(local)), Ok(folder(remote)), "{mode:?} {local}");
        }
    }

    #[test]
    fn what_cannot_be_taken_back_is_refused() {
        for (mode, way, name) in [
            ("oimap-dovecot", "RL", "nodot"),
            ("oimap-dovecot", "RL", ".cur"),
            ("oimap-dovecot", "RL", "..."),
            ("oimap-dovecot", "LR", ".smd-grave"),
            ("nodots", "LR", "a.b"),
            ("nodots", "LR", "a/.b"),
            ("nodots", "RL", ".a..b"),
            ("nodots", "RL", ".a."),
            ("nodots", "RL", ".a/b"),
            ("nodots", "RL", ".a.cur"),
            ("nodots2", "LR", "a.b"),
            ("nodots2", "LR", ".a"),
            ("nodots2", "LR", "..a..b"),
            ("nodots2", "RL", "a.b"),
            ("inbox", "LR", ""),
            ("inbox", "RL", ".INBOX"),
            ("nodots-inbox", "LR", ""),
            ("nodots-inbox", "RL", ".INBOX"),
        ] {
            let (mode, way) =
                (Mode::parse(mode.as_bytes()).expect("a mode"), Way::parse(way.as_bytes()).expect("a way"));
            assert!(mode.folder(way, &folder(name)).is_err(), "{mode:?} {way:?} {name}");
        }
        let long = "x".repeat(255);
        assert!(Mode::OimapDovecot.folder(Way::LocalToRemote, &folder(&long)).is_err());
    }

    #[test]
    fn every_word_means_a_mode_and_every_mode_has_a_word() {
        assert!(Mode::ALL.iter().all(|mode| Mode::parse(mode.word().as_bytes()) == Some(*mode)));
        assert!(Mode::parse(b"nodots3").is_none() && Way::parse(b"lr").is_none());
    }

    /// A folder of few letters, so that dots, `cur`, `INBOX` and repetitions are frequent.
    fn random(rng: &mut impl FnMut(usize) -> usize) -> Option<Folder> {
        const PIECES: [&[u8]; 14] =
            [b".", b".", b"..", b"a", b"b", b"INBOX", b"cur", b"sub", b" ", b"\xff", b"\n", b"%", b"a b", b"-x"];
        let parts: Vec<Vec<u8>> =
            (0..rng(5)).map(|_| (0..1 + rng(4)).flat_map(|_| PIECES[rng(PIECES.len())]).copied().collect()).collect();
        Folder::from_components(parts.iter().map(Vec::as_slice)).ok()
    }

    #[test]
    fn what_has_a_name_is_taken_back_and_no_two_folders_share_one() {
        let seed = std::env::var("SMD_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_240_611_u64);
        let mut state = seed;
        // xorshift64*: good enough to mix letters.
        let mut rng = |below: usize| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % below
        };
        for mode in Mode::ALL {
            for way in Way::BOTH {
                let (mut tried, mut named) = (0, std::collections::HashMap::new());
                let mut translated = 0;
                while tried < 10_000 {
                    let Some(folder) = random(&mut rng) else { continue };
                    tried += 1;
                    let Ok(there) = mode.folder(way, &folder) else { continue };
                    translated += 1;
                    assert_eq!(mode.folder(way.back(), &there), Ok(folder.clone()), "{mode:?} {way:?} seed {seed}");
                    let other = named.entry(there).or_insert_with(|| folder.clone());
                    assert_eq!(*other, folder, "{mode:?} {way:?} seed {seed}");
                }
                assert!(translated > 1_000, "{mode:?} {way:?}: only {translated} of {tried}, seed {seed}");
            }
        }
    }
}
