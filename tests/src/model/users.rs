//! Users and mail programs, on one host.
//!
//! Each act is what a mail program does with system calls, and is told to the ledger. Deliberately not here: when they
//! act, and anything that they would not do, such as rename onto a name that is taken.

use super::act::{Act, Habit};
use super::host::Host;
use super::ledger::Ledger;
use super::mail::{self, Bytes, FOLDERS, LETTERS, Mail, UNIQS, folder_path, mails};

/// A user of one host.
pub struct User<'a> {
    /// Which host.
    pub at: usize,
    /// It.
    pub host: &'a Host,
    /// What is told of it.
    pub ledger: &'a mut Ledger,
    /// The next body and uniq, where each is given once.
    pub next: &'a mut u32,
    /// How names and bodies are given.
    pub habit: Habit,
    /// Whether what is done is made durable.
    pub synced: bool,
}

impl User<'_> {
    /// Does it, if it can be done here. Says whether bytes were changed under their name.
    pub fn act(&mut self, act: Act) -> bool {
        let in_place = self.do_it(act).unwrap_or(false);
        if self.synced {
            self.host.sync_all();
            let seen = mail::Tree::of(self.host);
            self.ledger.firm(self.at, self.host, &seen);
        }
        in_place
    }

    fn do_it(&mut self, act: Act) -> Option<bool> {
        let odd = matches!(act, Act::Copy(..) | Act::HardLink(..) | Act::Replace(..) | Act::Swap(..));
        if odd && self.habit == Habit::Tidy {
            return None;
        }
        match act {
            Act::Deliver(folder, uniq, body, header) => {
                let folder = self.folder(folder);
                self.make_folder(&folder);
                let uniq = self.free_uniq(&folder, uniq)?;
                let bytes = self.fresh(body, header);
                self.write(&format!("{}/new/{uniq}", folder_path(self.host, &folder)), &bytes);
            }
            Act::See(n) => {
                let mail = self.mail(n)?;
                if mail.place == "new" {
                    self.rename(&mail, &mail.folder, "cur", &format!("{}:2,", mail.uniq()));
                }
            }
            Act::Flag(n, letter) => {
                let mail = self.mail(n)?;
                let letter = char::from(LETTERS[usize::from(letter) % LETTERS.len()]);
                let mut flags: Vec<char> = mail.flags().chars().filter(|flag| *flag != letter).collect();
                if !mail.flags().contains(letter) {
                    flags.push(letter);
                }
                flags.sort_unstable();
                let flags: String = flags.into_iter().collect();
                self.rename(&mail, &mail.folder, "cur", &format!("{}:2,{flags}", mail.uniq()));
            }
            Act::Move(n, folder) => {
                let mail = self.mail(n)?;
                let folder = self.folder(folder);
                self.make_folder(&folder);
                if self.is_free(&folder, mail.uniq()) {
                    self.rename(&mail, &folder, mail.place, &mail.file);
                }
            }
            Act::MoveAnew(n, folder, uniq) => {
                let mail = self.mail(n)?;
                let folder = self.folder(folder);
                self.make_folder(&folder);
                let uniq = self.free_uniq(&folder, uniq)?;
                let to = self.path(&folder, &mail, &uniq);
                if self.synced {
                    // Link, then unlink, as some do it.
                    self.host.link(&mail.path(), &to);
                    self.host.unlink(&mail.path());
                } else {
                    // Of the two a crash may keep the second alone, and nobody could tell that from a delete.
                    self.host.rename(&mail.path(), &to);
                }
            }
            Act::Copy(n, folder, uniq) => {
                let mail = self.mail(n)?;
                let folder = self.folder(folder);
                self.make_folder(&folder);
                let uniq = self.free_uniq(&folder, uniq)?;
                let to = self.path(&folder, &mail, &uniq);
                self.write(&to, &mail.bytes);
            }
            Act::HardLink(n, folder, uniq) => {
                let mail = self.mail(n)?;
                let folder = self.folder(folder);
                self.make_folder(&folder);
                let uniq = self.free_uniq(&folder, uniq)?;
                let to = self.path(&folder, &mail, &uniq);
                self.host.link(&mail.path(), &to);
                self.ledger.make(self.at, &mail.bytes, mail.mtime, self.synced);
            }
            Act::Delete(n) => {
                let mail = self.mail(n)?;
                self.host.unlink(&mail.path());
                self.ledger.remove(&mail.bytes);
            }
            Act::EditHeader(n, header) => {
                let mail = self.mail(n)?;
                let (_, body) = mail::parse(&mail.bytes)?;
                return self.overwrite(&mail, mail::bytes(header, body));
            }
            Act::Replace(n, body, header) => {
                let mail = self.mail(n)?;
                let bytes = self.fresh(body, header);
                return self.overwrite(&mail, bytes);
            }
            Act::Rename(n, uniq) => {
                let mail = self.mail(n)?;
                let uniq = self.free_uniq(&mail.folder, uniq)?;
                let file = mail.file.replacen(mail.uniq(), &uniq, 1);
                self.rename(&mail, &mail.folder, mail.place, &file);
            }
            Act::Swap(n, m) => {
                let (one, two) = (self.mail(n)?, self.mail(m)?);
                if one.path() != two.path() {
                    let aside = format!("{}/tmp/swap", one.dir);
                    self.make_dir(&format!("{}/tmp", one.dir));
                    self.host.rename(&one.path(), &aside);
                    self.host.rename(&two.path(), &one.path());
                    self.host.rename(&aside, &two.path());
                    // Half a swap would be a message that lies in `tmp/`.
                    self.host.sync_all();
                }
            }
            Act::Touch(n) => {
                let mail = self.mail(n)?;
                self.host.touch(&mail.path());
                self.ledger.touch(&mail.bytes);
            }
            Act::MakeFolder(folder) => {
                let folder = self.folder(folder);
                self.make_folder(&folder);
            }
            Act::RemoveFolder(folder) => {
                let folder = self.folder(folder);
                if !folder.is_empty() {
                    for mail in mails(self.host).into_iter().filter(|mail| mail.folder == folder) {
                        self.ledger.remove(&mail.bytes);
                    }
                    self.host.remove_all(&folder_path(self.host, &folder));
                }
            }
            Act::RenameFolder(from, to) => {
                let (from, to) = (self.folder(from), self.folder(to));
                if !from.is_empty()
                    && !to.is_empty()
                    && self.host.is_dir(&folder_path(self.host, &from))
                    && !self.host.is_dir(&folder_path(self.host, &to))
                {
                    self.host.rename(&folder_path(self.host, &from), &folder_path(self.host, &to));
                }
            }
        }
        Some(false)
    }

    fn mail(&self, n: u8) -> Option<Mail> {
        let mut mails = mails(self.host);
        if mails.is_empty() {
            return None;
        }
        let at = usize::from(n) % mails.len();
        Some(mails.swap_remove(at))
    }

    fn folder(&self, n: u8) -> String {
        FOLDERS[usize::from(n) % FOLDERS.len()].to_owned()
    }

    fn make_folder(&self, folder: &str) {
        for dir in ["cur", "new", "tmp"] {
            self.make_dir(&format!("{}/{dir}", folder_path(self.host, folder)));
        }
    }

    /// Made durable at once: on the file systems that there are, no crash keeps a rename into a directory and not the
    /// directory, and nobody could tell what is left then from a delete.
    fn make_dir(&self, path: &str) {
        if !self.host.is_dir(path) {
            self.host.make_dirs(path);
            self.host.sync_all();
        }
    }

    fn is_free(&self, folder: &str, uniq: &str) -> bool {
        !mails(self.host).iter().any(|mail| mail.folder == folder && mail.uniq() == uniq)
    }

    fn free_uniq(&mut self, folder: &str, n: u8) -> Option<String> {
        if self.habit == Habit::Tidy {
            *self.next += 1;
            return Some(format!("m{}", self.next));
        }
        let mut names = (0..UNIQS.len()).map(|at| UNIQS[(usize::from(n) + at) % UNIQS.len()]);
        names.find(|uniq| self.is_free(folder, uniq)).map(str::to_owned)
    }

    fn fresh(&mut self, body: u8, header: u8) -> Bytes {
        if self.habit == Habit::Few {
            return mail::bytes(header, u32::from(body % 4));
        }
        *self.next += 1;
        mail::bytes(header, *self.next)
    }

    /// A new name for a message, with its place and letters.
    fn path(&self, folder: &str, mail: &Mail, uniq: &str) -> String {
        format!("{}/{}/{}", folder_path(self.host, folder), mail.place, mail.file.replacen(mail.uniq(), uniq, 1))
    }

    fn write(&mut self, path: &str, bytes: &Bytes) {
        let mtime = self.host.write_file(path, bytes, self.synced);
        self.ledger.make(self.at, bytes, mtime, self.synced);
    }

    fn overwrite(&mut self, mail: &Mail, bytes: Bytes) -> Option<bool> {
        if bytes == mail.bytes {
            return None;
        }
        let aside = format!("{}/tmp/edit", mail.dir);
        self.make_dir(&format!("{}/tmp", mail.dir));
        self.write(&aside, &bytes);
        self.host.rename(&aside, &mail.path());
        self.ledger.remove(&mail.bytes);
        Some(true)
    }

    fn rename(&self, mail: &Mail, folder: &str, place: &str, file: &str) {
        let to = format!("{}/{place}/{file}", folder_path(self.host, folder));
        self.make_dir(&format!("{}/{place}", folder_path(self.host, folder)));
        if to != mail.path() {
            self.host.rename(&mail.path(), &to);
        }
    }
}
