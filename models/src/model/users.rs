//! Users and mail programs, on one host.
//!
//! Each act is what a mail program does with system calls, and is told to the ledger. Deliberately not here: when they
//! act, and anything that they would not do, such as rename onto a name that is taken.

use super::deed::{Deed, Definite};
use super::host::Host;
use super::ledger::Ledger;
use super::mail::{self, Bytes, Mail, folder_path, mails};
use super::number::is_free;

/// A user of one host.
pub struct User<'a> {
    /// Which host.
    pub at: usize,
    /// It.
    pub host: &'a Host,
    /// What is told of it.
    pub ledger: &'a mut Ledger,
    /// Whether what is done is made durable.
    pub synced: bool,
}

/// What came of a deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It is done.
    Yes,
    /// And bytes were changed under their name.
    InPlace,
    /// It could not be done to what is there.
    InVain(&'static str),
}

impl User<'_> {
    /// Does it, if it can be done here.
    pub fn act(&mut self, deed: &Deed<Definite>) -> Done {
        let done = self.do_it(deed);
        if self.synced {
            self.host.sync_all();
            let seen = mail::Tree::of(self.host);
            self.ledger.firm(self.at, self.host, &seen);
        }
        done
    }

    fn do_it(&mut self, deed: &Deed<Definite>) -> Done {
        match deed {
            Deed::Deliver(folder, uniq, body, header) => {
                self.make_folder(folder);
                let path = format!("{}/new/{uniq}", folder_path(self.host, folder));
                self.write(&path, &mail::bytes(*header, *body));
            }
            Deed::See(mail) if mail.place == "new" => {
                self.rename(mail, &mail.folder, "cur", &format!("{}:2,", mail.uniq()));
            }
            Deed::See(_) => return Done::InVain("it is in cur already"),
            Deed::Flag(mail, letter) => self.flag(mail, *letter),
            Deed::Move(mail, folder) => {
                self.make_folder(folder);
                if !is_free(self.host, folder, mail.uniq()) {
                    return Done::InVain("its name is taken there");
                }
                self.rename(mail, folder, mail.place, &mail.file);
            }
            Deed::MoveAnew(mail, folder, uniq) => {
                let to = self.name_in(folder, mail, uniq);
                if self.synced {
                    // Link, then unlink, as some do it.
                    self.host.link(&mail.path(), &to);
                    self.host.unlink(&mail.path());
                } else {
                    // Of the two a crash may keep the second alone, and nobody could tell that from a delete.
                    self.host.rename(&mail.path(), &to);
                }
            }
            Deed::Copy(mail, folder, uniq) => {
                let to = self.name_in(folder, mail, uniq);
                self.write(&to, &mail.bytes);
            }
            Deed::HardLink(mail, folder, uniq) => {
                let to = self.name_in(folder, mail, uniq);
                self.host.link(&mail.path(), &to);
                self.ledger.make(self.at, &mail.bytes, mail.mtime, self.synced);
            }
            Deed::Delete(mail) => {
                self.host.unlink(&mail.path());
                self.ledger.remove(&mail.bytes);
            }
            Deed::EditHeader(mail, header) => {
                let Some((_, body)) = mail::parse(&mail.bytes) else { return Done::InVain("it is damaged") };
                return self.overwrite(mail, &mail::bytes(*header, body));
            }
            Deed::Replace(mail, body, header) => return self.overwrite(mail, &mail::bytes(*header, *body)),
            Deed::Rename(mail, uniq) => {
                let file = mail.file.replacen(mail.uniq(), uniq, 1);
                self.rename(mail, &mail.folder, mail.place, &file);
            }
            Deed::Swap(one, two) => return self.swap(one, two),
            Deed::Touch(mail) => {
                self.host.touch(&mail.path());
                self.ledger.touch(&mail.bytes);
            }
            Deed::MakeFolder(folder) => {
                if self.has_folder(folder) {
                    return Done::InVain("it is there already");
                }
                self.make_folder(folder);
            }
            Deed::RemoveFolder(folder) => return self.remove_folder(folder),
            Deed::RenameFolder(from, to) => return self.rename_folder(from, to),
            Deed::Rest => {}
        }
        Done::Yes
    }

    fn flag(&self, mail: &Mail, letter: char) {
        let mut flags: Vec<char> = mail.flags().chars().filter(|flag| *flag != letter).collect();
        if !mail.flags().contains(letter) {
            flags.push(letter);
        }
        flags.sort_unstable();
        let flags: String = flags.into_iter().collect();
        self.rename(mail, &mail.folder, "cur", &format!("{}:2,{flags}", mail.uniq()));
    }

    fn swap(&self, one: &Mail, two: &Mail) -> Done {
        if one.path() == two.path() {
            return Done::InVain("it is one message");
        }
        let aside = format!("{}/tmp/swap", one.dir);
        self.make_dir(&format!("{}/tmp", one.dir));
        self.host.rename(&one.path(), &aside);
        self.host.rename(&two.path(), &one.path());
        self.host.rename(&aside, &two.path());
        // Half a swap would be a message that lies in `tmp/`.
        self.host.sync_all();
        Done::Yes
    }

    fn remove_folder(&mut self, folder: &str) -> Done {
        if folder.is_empty() || !self.host.is_dir(&folder_path(self.host, folder)) {
            return Done::InVain("there is no such folder that could go");
        }
        for mail in mails(self.host).into_iter().filter(|mail| mail.folder == folder) {
            self.ledger.remove(&mail.bytes);
        }
        self.host.remove_all(&folder_path(self.host, folder));
        Done::Yes
    }

    fn rename_folder(&self, from: &str, to: &str) -> Done {
        let paths = [from, to].map(|folder| folder_path(self.host, folder));
        let [old, new] = &paths;
        if from.is_empty() || to.is_empty() || !self.host.is_dir(old) || self.host.is_dir(new) {
            return Done::InVain("the one is not there, or the other is");
        }
        self.host.rename(old, new);
        Done::Yes
    }

    fn has_folder(&self, folder: &str) -> bool {
        ["cur", "new", "tmp"].iter().all(|dir| self.host.is_dir(&format!("{}/{dir}", folder_path(self.host, folder))))
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

    /// A new name for a message, with its place and letters, in a folder that is there then.
    fn name_in(&self, folder: &str, mail: &Mail, uniq: &str) -> String {
        self.make_folder(folder);
        format!("{}/{}/{}", folder_path(self.host, folder), mail.place, mail.file.replacen(mail.uniq(), uniq, 1))
    }

    fn write(&mut self, path: &str, bytes: &Bytes) {
        let mtime = self.host.write_file(path, bytes, self.synced);
        self.ledger.make(self.at, bytes, mtime, self.synced);
    }

    fn overwrite(&mut self, mail: &Mail, bytes: &Bytes) -> Done {
        if *bytes == mail.bytes {
            return Done::InVain("it has these bytes");
        }
        let aside = format!("{}/tmp/edit", mail.dir);
        self.make_dir(&format!("{}/tmp", mail.dir));
        self.write(&aside, bytes);
        self.host.rename(&aside, &mail.path());
        self.ledger.remove(&mail.bytes);
        Done::InPlace
    }

    fn rename(&self, mail: &Mail, folder: &str, place: &str, file: &str) {
        let to = format!("{}/{place}/{file}", folder_path(self.host, folder));
        self.make_dir(&format!("{}/{place}", folder_path(self.host, folder)));
        if to != mail.path() {
            self.host.rename(&mail.path(), &to);
        }
    }
}
