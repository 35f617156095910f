//! The same mail on two hosts that never met: as OfflineIMAP keeps it on one, as Dovecot keeps it on the other.
//!
//! There is what hurts who moves in: header fields in one of two copies, names that tell nothing of each other, dots in
//! folder names, INBOX as a folder, an index with symlinks, control files, excluded folders, duplicates.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::mail;
use crate::populate::{self, make_folder};
use crate::rng::Rng;

/// The field that OfflineIMAP puts into messages that it uploads.
pub const FIELD: &str = "X-OfflineIMAP: 1873021936-4c6f63616c-494e424f58-v7.3.3";
/// Folders as IMAP calls them, with a dot between levels; the first is the root at the server.
pub const FOLDERS: [&str; 8] = [
    "INBOX",
    "Sent",
    "Archive.2019",
    "Archive.2020.Q1",
    "Lists.rust-users",
    "Lists.two words",
    "Gr&APwA3w-e",
    "a.b.c.d.e",
];
/// Folders that nobody wants on the other host; each host has other mail in them.
pub const EXCLUDED: [&str; 2] = ["Spam", "Lists.huge"];

/// What was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Messages that both hosts have.
    pub both: usize,
    /// Messages that only the laptop has.
    pub only_here: usize,
    /// Messages that only the server has.
    pub only_there: usize,
    /// Those of both that have the field at the server.
    pub with_field: usize,
    /// Messages in excluded folders, on each host.
    pub excluded: usize,
}

/// Where a folder of IMAP is below the Maildir of the server.
pub fn there(folder: &str) -> String {
    if folder == "INBOX" { String::new() } else { format!(".{folder}") }
}

/// Makes `count` messages that both have, and some more.
#[track_caller]
pub fn make(laptop: &Path, server: &Path, count: usize, rng: &mut Rng) -> Made {
    let mut made = Made::default();
    fs::create_dir_all(laptop).expect("a directory");
    for folder in FOLDERS.iter().chain(&EXCLUDED) {
        make_folder(laptop, Path::new(folder));
        make_folder(server, Path::new(&there(folder)));
        let control = server.join(there(folder));
        for file in ["dovecot-uidlist", "dovecot.index", "dovecot.index.log", "dovecot.index.cache"] {
            fs::write(control.join(file), format!("{folder} {file}\n")).expect("a control file");
        }
        if *folder != "INBOX" {
            fs::write(control.join("maildirfolder"), "").expect("a control file");
        }
    }
    fs::write(server.join("subscriptions"), FOLDERS.join("\n")).expect("a control file");
    index(laptop);
    for number in 0..count {
        // Half of all mail is in the first two.
        let folder = FOLDERS[if rng.chance(50) { rng.index(2) } else { rng.index(FOLDERS.len()) }];
        let bytes = mail::plain(&format!("m.{number}"), rng);
        // A message that a person copied is there twice, on both hosts.
        let times = if number % 100 == 7 { 2 } else { 1 };
        for time in 0..times {
            let seen = if rng.chance(90) { "S" } else { "" };
            write(&laptop.join(folder), &local_name(folder, number * 2 + time, seen), &bytes, rng);
            let uploaded = folder == "Sent" && number % 3 == 0;
            made.with_field += usize::from(uploaded);
            let bytes = if uploaded { mail::with_header_line(&bytes, FIELD) } else { bytes.clone() };
            write(&server.join(there(folder)), &server_name(number * 2 + time, seen, bytes.len(), rng), &bytes, rng);
            made.both += 1;
        }
    }
    for number in count..count + count / 100 {
        let folder = FOLDERS[rng.index(FOLDERS.len())];
        let bytes = mail::plain(&format!("m.{number}"), rng);
        if rng.chance(50) {
            write(&laptop.join(folder), &local_name(folder, number * 2, "S"), &bytes, rng);
            made.only_here += 1;
        } else {
            write(&server.join(there(folder)), &server_name(number * 2, "", bytes.len(), rng), &bytes, rng);
            made.only_there += 1;
        }
    }
    for (at, folder) in EXCLUDED.iter().enumerate() {
        for number in 0..10 {
            let number = (count + at * 10 + number) * 4;
            let bytes = mail::plain(&format!("x.{number}"), rng);
            write(&laptop.join(folder), &local_name(folder, number, ""), &bytes, rng);
            let bytes = mail::plain(&format!("y.{number}"), rng);
            write(&server.join(there(folder)), &server_name(number, "", bytes.len(), rng), &bytes, rng);
            made.excluded += 1;
        }
    }
    made
}

/// The database of an indexer, with links into and out of the mail.
fn index(laptop: &Path) {
    let index = laptop.join(".notmuch");
    fs::create_dir_all(index.join("xapian")).expect("a directory");
    fs::create_dir_all(index.join("hooks")).expect("a directory");
    fs::write(index.join("xapian/flintlock"), "").expect("a file");
    fs::write(index.join("xapian/iamglass"), "glass").expect("a file");
    symlink("/bin/true", index.join("hooks/post-new")).expect("a link");
    symlink("../INBOX", index.join("inbox")).expect("a link");
    symlink(laptop.join("Sent"), laptop.join("sent-mail")).expect("a link");
}

fn write(folder: &Path, name: &str, bytes: &[u8], rng: &mut Rng) {
    let place = if name.contains(':') { "cur" } else { "new" };
    populate::write(&folder.join(place).join(name), bytes, rng);
}

/// As OfflineIMAP names files: when and in which order they came, the number at the server, a digest of the folder's name.
fn local_name(folder: &str, number: usize, flags: &str) -> String {
    // Not the MD5 that it is, but one number for each folder, which is all that anybody makes of it.
    let digest = folder.bytes().fold(7_u128, |sum, byte| sum.wrapping_mul(1_000_003).wrapping_add(u128::from(byte)));
    format!("{}_{}.4711.laptop,U={},FMD5={digest:032x}:2,{flags}", 1_400_000_000 + number, number % 10, number + 1)
}

/// As Dovecot names files.
fn server_name(number: usize, flags: &str, size: usize, rng: &mut Rng) -> String {
    let unique = format!("{}.M{}P{}.office", 1_300_000_000 + number, rng.within(0..1_000_000), 100 + number % 800);
    if flags.is_empty() && number.is_multiple_of(9) {
        unique
    } else {
        format!("{unique},S={size},W={}:2,{flags}", size + 40)
    }
}
