//! Fills a Maildir with generated messages: ordinary and odd ones, in folders with ordinary and odd names.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use crate::mail;
use crate::rng::Rng;
use crate::tree::{self, Place};

/// How much to make.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The number of messages, odd and big ones included.
    pub messages: usize,
    /// The number of folders; the first are the root and the odd ones of [`folder_names`].
    pub folders: usize,
    /// The size of one big message in bytes; 0: none.
    pub big: usize,
    /// Whether a few messages have odd bytes or odd names.
    pub odd: bool,
}

impl Spec {
    /// Ordinary messages in ordinary and odd folders.
    pub fn plain(messages: usize, folders: usize) -> Self {
        Self { messages, folders, big: 0, odd: false }
    }
}

/// The first `count` folders: the root, Maildir++ ones, nested ones, and names with spaces, `&`, `%`, newlines, quotes,
/// a leading `-`, and bytes that are no UTF-8.
pub fn folder_names(count: usize) -> Vec<PathBuf> {
    let known: [&[u8]; 12] = [
        b"",
        b".Archive.2024",
        b"Work",
        b"Work/Projects/Two words",
        b".Bits & pieces",
        b"100%",
        b"%20",
        b"new\nline",
        b"not utf-8 \xff\xfe",
        b"-n",
        b".it's \"quoted\" $HOME `id` *",
        "Grüße".as_bytes(),
    ];
    let numbered = (known.len()..).map(|n| PathBuf::from(format!(".folder-{n}")));
    known.iter().map(|name| tree::folder(name)).chain(numbered).take(count).collect()
}

/// Makes the folders and the messages below `root`; `label` is part of every id and uniq.
#[track_caller]
pub fn populate(root: &Path, label: &str, spec: Spec, rng: &mut Rng) {
    let folders = folder_names(spec.folders);
    for folder in &folders {
        make_folder(root, folder);
    }
    for number in 0..spec.messages {
        let id = format!("{label}.{number}");
        let bytes = match number {
            0 if spec.big > 0 => mail::big(&id, spec.big, rng),
            1..=27 if spec.odd => mail::odd(number % mail::ODD_KINDS, &id, rng),
            _ => mail::plain(&id, rng),
        };
        let folder = &folders[number % folders.len()];
        let place = if rng.chance(15) { Place::New } else { Place::Cur };
        let name = name(number, &id, place, spec.odd, rng);
        write(&root.join(folder).join(place.name()).join(name), &bytes, rng);
    }
}

/// Makes a folder with its three directories.
#[track_caller]
pub fn make_folder(root: &Path, folder: &Path) {
    for dir in ["cur", "new", "tmp"] {
        let path = root.join(folder).join(dir);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// Writes a file with a random mtime between 2001 and 2023, to the nanosecond.
#[track_caller]
pub fn write(path: &Path, bytes: &[u8], rng: &mut Rng) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let nanos = rng.within(0..1_000_000_000);
    let stamp = UNIX_EPOCH + Duration::new(rng.within(1_000_000_000..1_700_000_000), 0) + Duration::from_nanos(nanos);
    let file = fs::File::options().write(true).open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    file.set_modified(stamp).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// A few letters of `DFPRST` and of a mail server's keywords, in the order given by chance.
pub fn flags(rng: &mut Rng) -> String {
    "SFRPDab".chars().filter(|_| rng.chance(25)).collect()
}

fn name(number: usize, id: &str, place: Place, odd: bool, rng: &mut Rng) -> OsString {
    let seconds = rng.within(1_000_000_000..1_700_000_000);
    let mut bytes =
        format!("{seconds}.M{}P{}_{id}.host.example.org", rng.within(0..1_000_000), 1000 + number % 900).into_bytes();
    if odd {
        match number {
            30 => bytes.extend_from_slice(b" with space & 100% \"quoted\""),
            31 => bytes.extend_from_slice(b"\nnewline"),
            32 => bytes.extend_from_slice(b"\xff\xfe"),
            33 => bytes.insert(0, b'-'),
            34 => bytes.extend_from_slice(b",S=1234,W=1250"),
            35 => bytes.resize(240, b'x'),
            _ => {}
        }
    }
    match place {
        Place::New => {}
        Place::Cur => bytes.extend_from_slice(format!(":2,{}", flags(rng)).as_bytes()),
    }
    OsString::from_vec(bytes)
}
