//! Deeds by number: which message, folder, uniq, body and header a number means on a host, by remainder.
//!
//! Deliberately not here: deeds by name (`scenario`), and how any is done (`users`).

use super::act::{Act, Habit, Numbers};
use super::deed::{Deed, Definite, Translate};
use super::host::Host;
use super::mail::{self, FOLDERS, LETTERS, Mail, UNIQS, mails};

/// Gives what numbers mean on a host at this moment.
pub struct ByNumber<'a> {
    /// The host.
    pub host: &'a Host,
    /// How names and bodies are given.
    pub habit: Habit,
    /// The next body and uniq, where each is given once.
    pub next: &'a mut u32,
}

/// Whether no message has this name.
pub fn is_free(host: &Host, folder: &str, uniq: &str) -> bool {
    !mails(host).iter().any(|mail| mail.folder == folder && mail.uniq() == uniq)
}

/// The next number, which no body and no uniq had.
pub fn count(next: &mut u32) -> u32 {
    *next += 1;
    *next
}

impl ByNumber<'_> {
    /// The deed that an act is here. Where there is nothing that it could be done to, its user does the rest of it: a folder
    /// is made, or nothing.
    pub fn resolve(&mut self, act: &Act) -> Deed<Definite> {
        let odd = matches!(act, Act::Copy(..) | Act::HardLink(..) | Act::Replace(..) | Act::Swap(..));
        if odd && self.habit == Habit::Tidy {
            return Deed::Rest;
        }
        self.deed(act).unwrap_or_else(|lacks| lacks.map_or(Deed::Rest, Deed::MakeFolder))
    }
}

impl Translate for ByNumber<'_> {
    type From = Numbers;
    type Into = Definite;
    /// The folder in which no uniq is free, or that there is no message.
    type Error = Option<String>;

    fn mail(&mut self, n: &u8) -> Result<Mail, Option<String>> {
        let mut mails = mails(self.host);
        if mails.is_empty() {
            return Err(None);
        }
        let at = usize::from(*n) % mails.len();
        Ok(mails.swap_remove(at))
    }

    fn folder(&mut self, n: &u8) -> String {
        FOLDERS[usize::from(*n) % FOLDERS.len()].to_owned()
    }

    fn uniq(&mut self, folder: &String, n: &u8) -> Result<String, Option<String>> {
        if self.habit == Habit::Tidy {
            return Ok(format!("m{}", count(self.next)));
        }
        let mut names = (0..UNIQS.len()).map(|at| UNIQS[(usize::from(*n) + at) % UNIQS.len()]);
        names.find(|uniq| is_free(self.host, folder, uniq)).map(str::to_owned).ok_or_else(|| Some(folder.clone()))
    }

    fn folder_of(&self, mail: &Mail) -> String {
        mail.folder.clone()
    }

    fn body(&mut self, n: &u8) -> Result<u32, Option<String>> {
        Ok(if self.habit == Habit::Few { u32::from(n % mail::FEW) } else { count(self.next) })
    }

    fn header(&mut self, n: &u8) -> u8 {
        n % mail::HEADERS
    }

    fn letter(&mut self, n: &u8) -> char {
        char::from(LETTERS[usize::from(*n) % LETTERS.len()])
    }
}
