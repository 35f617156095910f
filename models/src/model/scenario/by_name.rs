//! Deeds by name, in both directions: which message, folder and body a name means on a host, and what a definite deed is
//! called there.
//!
//! A label is the name of a body: its delivery gives it, and it holds everywhere. Deliberately not here: how a deed is done
//! (`users`).

use std::collections::BTreeMap;

use super::super::act::Habit;
use super::super::deed::{Deed, Definite, Translate};
use super::super::host::Host;
use super::super::mail::{self, FEW, HEADERS, Mail, mails};
use super::super::number::{count, is_free};
use super::about::shown;
use super::step::{Names, Pick, Word};

/// What headers are called, in their order.
pub(super) const HEADER_NAMES: [&str; HEADERS as usize] = ["one", "two", "three"];

/// The label of a message whose bytes nobody wrote so.
pub(super) const DAMAGED: &str = "damaged";

/// Which body has which label.
#[derive(Clone, Debug, Default)]
pub struct Labels(BTreeMap<String, u32>);

fn letters(n: usize) -> String {
    let last = char::from(b'A' + (n % 26) as u8);
    if n < 26 { last.to_string() } else { format!("{}{last}", letters(n / 26 - 1)) }
}

impl Labels {
    /// All bodies of a world in which they are few have their labels at once.
    pub fn new(habit: Habit) -> Self {
        let few = if habit == Habit::Few { FEW } else { 0 };
        Self((0..few).map(|n| (letters(usize::from(n)), u32::from(n))).collect())
    }

    fn of_body(&self, body: u32) -> Option<&str> {
        self.0.iter().find(|(_, known)| **known == body).map(|(label, _)| label.as_str())
    }

    /// The label of these bytes. None where they are no message.
    pub fn label(&self, bytes: &[u8]) -> Option<String> {
        mail::parse(bytes).and_then(|(_, body)| self.of_body(body)).map(str::to_owned)
    }

    /// Gives a body the next label, unless it has one.
    fn give(&mut self, body: u32) -> String {
        if let Some(label) = self.of_body(body) {
            return label.to_owned();
        }
        let label = letters(self.0.len());
        self.0.insert(label.clone(), body);
        label
    }
}

fn folder(shown: &str) -> &str {
    if shown == "INBOX" { "" } else { shown }
}

/// Gives what names mean on a host at this moment. Errors are sentences that say what is there instead.
pub struct ByName<'a> {
    /// The host.
    pub host: &'a Host,
    /// How names and bodies are given.
    pub habit: Habit,
    /// The next body and uniq, where each is given once.
    pub next: &'a mut u32,
    /// The labels so far.
    pub labels: &'a mut Labels,
}

impl ByName<'_> {
    fn called(&self, mail: &Mail) -> String {
        let label = self.labels.label(&mail.bytes).unwrap_or_else(|| DAMAGED.to_owned());
        format!("{label} called {} in {}/{}", mail.uniq(), shown(&mail.folder), mail.place)
    }
}

impl Translate for ByName<'_> {
    type From = Names;
    type Into = Definite;
    type Error = String;

    fn mail(&mut self, pick: &Pick) -> Result<Mail, String> {
        let all = mails(self.host);
        let label = |mail: &Mail| self.labels.label(&mail.bytes).unwrap_or_else(|| DAMAGED.to_owned());
        let mut fits = all.iter().filter(|mail| {
            label(mail) == pick.label
                && pick.folder.as_ref().is_none_or(|wanted| folder(wanted) == mail.folder)
                && pick.uniq.as_ref().is_none_or(|uniq| uniq == mail.uniq())
        });
        match (fits.next(), fits.next()) {
            (Some(mail), None) => Ok(mail.clone()),
            (found, _) => {
                let there: Vec<_> = all.iter().map(|mail| self.called(mail)).collect();
                let word = if found.is_some() { "more than one message is" } else { "no message is" };
                Err(format!("{word} {pick:?}; there are {there:?}"))
            }
        }
    }

    fn folder(&mut self, shown: &String) -> String {
        folder(shown).to_owned()
    }

    fn uniq(&mut self, folder: &String, uniq: &Option<String>) -> Result<String, String> {
        match uniq {
            None if self.habit == Habit::Tidy => Ok(format!("m{}", count(self.next))),
            None => Err("where names are few a message needs one: `called`".to_owned()),
            Some(uniq) if is_free(self.host, folder, uniq) => Ok(uniq.clone()),
            Some(uniq) => Err(format!("{uniq} is taken in {}", shown(folder))),
        }
    }

    fn folder_of(&self, mail: &Mail) -> String {
        mail.folder.clone()
    }

    fn body(&mut self, label: &String) -> Result<u32, String> {
        match (self.habit, self.labels.0.get(label)) {
            (Habit::Few, Some(body)) => Ok(*body),
            (Habit::Few, None) => Err(format!("bodies are few: there is no {label}")),
            (_, Some(_)) => Err(format!("every body is delivered once, and {label} was")),
            (_, None) => {
                let body = count(self.next);
                self.labels.0.insert(label.clone(), body);
                Ok(body)
            }
        }
    }

    fn header(&mut self, name: &String) -> u8 {
        let at = HEADER_NAMES.iter().position(|known| known == name);
        at.unwrap_or_else(|| panic!("headers are {HEADER_NAMES:?}, and not {name}")) as u8
    }

    fn letter(&mut self, letter: &char) -> char {
        *letter
    }
}

/// Says what a definite deed is called on a host on which it is not done yet.
pub struct Naming<'a> {
    /// The host.
    pub host: &'a Host,
    /// How names and bodies are given.
    pub habit: Habit,
    /// The labels so far.
    pub labels: &'a mut Labels,
}

impl Naming<'_> {
    /// The name of a deed.
    pub fn word(&mut self, deed: &Deed<Definite>) -> Word {
        match self.deed(deed) {
            Ok(word) => word,
            Err(never) => match never {},
        }
    }
}

impl Translate for Naming<'_> {
    type From = Definite;
    type Into = Names;
    type Error = std::convert::Infallible;

    fn mail(&mut self, mail: &Mail) -> Result<Pick, Self::Error> {
        let label = |mail: &Mail| self.labels.label(&mail.bytes).unwrap_or_else(|| DAMAGED.to_owned());
        let (label, all) = (label(mail), mails(self.host).into_iter().map(|other| (label(&other), other)));
        let alike: Vec<_> = all.filter(|(other, _)| *other == label).map(|(_, mail)| mail).collect();
        let in_folder = alike.iter().filter(|other| other.folder == mail.folder).count();
        let folder = (alike.len() > 1).then(|| shown(&mail.folder).to_owned());
        Ok(Pick { label, folder, uniq: (in_folder > 1).then(|| mail.uniq().to_owned()) })
    }

    fn folder(&mut self, folder: &String) -> String {
        shown(folder).to_owned()
    }

    fn uniq(&mut self, _: &String, uniq: &String) -> Result<Option<String>, Self::Error> {
        Ok((self.habit != Habit::Tidy).then(|| uniq.clone()))
    }

    fn folder_of(&self, pick: &Pick) -> String {
        pick.folder.clone().unwrap_or_default()
    }

    fn body(&mut self, body: &u32) -> Result<String, Self::Error> {
        Ok(self.labels.give(*body))
    }

    fn header(&mut self, header: &u8) -> String {
        HEADER_NAMES[usize::from(header % HEADERS)].to_owned()
    }

    fn letter(&mut self, letter: &char) -> char {
        *letter
    }
}
