//! Says a scenario as the text of a test.
//!
//! Deliberately not here: the words themselves (`words`). What is by number is said as it is, and is no text for a test.

use std::fmt::{self, Display, Formatter};

use super::super::act::{Habit, Way};
use super::by_name::HEADER_NAMES;
use super::step::{Beside, Blow, Cutting, Doing, Moment, NamedCall, Pick, Plan, Scenario, Side, Step, Which, Word};
use super::words::COMPARES;

/// A thing as the text of a test.
struct Text<'a, T>(&'a T);

impl Display for Text<'_, Pick> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Pick { label, folder, uniq } = self.0;
        if folder.is_none() && uniq.is_none() {
            return write!(f, "{label:?}");
        }
        write!(f, "the({label:?})")?;
        folder.iter().try_for_each(|folder| write!(f, ".of({folder:?})"))?;
        uniq.iter().try_for_each(|uniq| write!(f, ".called({uniq:?})"))
    }
}

impl Display for Text<'_, Word> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let called = |f: &mut Formatter<'_>, uniq: &Option<String>| {
            uniq.iter().try_for_each(|uniq| write!(f, ".called({uniq:?})"))
        };
        let header = |f: &mut Formatter<'_>, header: &String| {
            if header == HEADER_NAMES[0] { Ok(()) } else { write!(f, ".header({header:?})") }
        };
        match self.0 {
            Word::Deliver(folder, uniq, label, head) => {
                write!(f, "deliver({label:?})")?;
                if folder != "INBOX" {
                    write!(f, ".to({folder:?})")?;
                }
                called(f, uniq)?;
                header(f, head)
            }
            Word::See(mail) => write!(f, "see({})", Text(mail)),
            Word::Flag(mail, letter) => write!(f, "flag({}, {letter:?})", Text(mail)),
            Word::Move(mail, folder) => write!(f, "move_to({}, {folder:?})", Text(mail)),
            Word::MoveAnew(mail, folder, uniq) => {
                write!(f, "move_anew({}, {folder:?})", Text(mail))?;
                called(f, uniq)
            }
            Word::Copy(mail, folder, uniq) => {
                write!(f, "copy({}, {folder:?})", Text(mail))?;
                called(f, uniq)
            }
            Word::HardLink(mail, folder, uniq) => {
                write!(f, "hard_link({}, {folder:?})", Text(mail))?;
                called(f, uniq)
            }
            Word::Delete(mail) => write!(f, "delete({})", Text(mail)),
            Word::EditHeader(mail, header) => write!(f, "edit_header({}, {header:?})", Text(mail)),
            Word::Replace(mail, label, head) => {
                write!(f, "replace({}, {label:?})", Text(mail))?;
                header(f, head)
            }
            Word::Rename(mail, uniq) => {
                write!(f, "rename({})", Text(mail))?;
                called(f, uniq)
            }
            Word::Swap(one, two) => write!(f, "swap({}, {})", Text(one), Text(two)),
            Word::Touch(mail) => write!(f, "touch({})", Text(mail)),
            Word::MakeFolder(folder) => write!(f, "make_folder({folder:?})"),
            Word::RemoveFolder(folder) => write!(f, "remove_folder({folder:?})"),
            Word::RenameFolder(from, to) => write!(f, "rename_folder({from:?}, {to:?})"),
            Word::Rest => write!(f, "idle()"),
        }
    }
}

impl Display for Text<'_, Doing> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Doing::ByName(word) => Text(word).fmt(f),
            Doing::ByNumber(act) => write!(f, "{act:?}"),
        }
    }
}

impl Display for Text<'_, NamedCall> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let NamedCall { what, about, nth } = self.0;
        write!(f, "call({what:?}, {about:?})")?;
        if *nth == 1 { Ok(()) } else { write!(f, ".nth({nth})") }
    }
}

impl Display for Text<'_, Moment> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Moment::Call(call) => Text(call).fmt(f),
            other => write!(f, "{other:?}"),
        }
    }
}

fn side(side: Side) -> &'static str {
    match side {
        Side::Client => "CLIENT",
        Side::Server => "SERVER",
    }
}

fn errno(errno: i32) -> String {
    let names = [(5, "EIO"), (13, "EACCES"), (24, "EMFILE"), (28, "ENOSPC"), (30, "EROFS"), (116, "ESTALE")];
    names.iter().find(|(known, _)| *known == errno).map_or(errno.to_string(), |(_, name)| (*name).to_owned())
}

impl Display for Text<'_, Beside> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Beside::Blow(at, moment, blow) => {
                let (word, error) = match blow {
                    Blow::Fails(n) => ("fails", Some(n)),
                    Blow::FailsLate(n) => ("fails_late", Some(n)),
                    Blow::FailsShort(n) => ("fails_short", Some(n)),
                    Blow::FailsForEver(n) => ("fails_for_ever", Some(n)),
                    Blow::FailsThenCrashes(n) => ("fails_then_crashes", Some(n)),
                    Blow::Crashes(false) => ("crashes_before", None),
                    Blow::Crashes(true) => ("crashes_after", None),
                    Blow::Killed(false) => ("killed_before", None),
                    Blow::Killed(true) => ("killed_after", None),
                };
                let error = error.map_or(String::new(), |n| format!(", {}", errno(*n)));
                write!(f, ".{word}({}, {}{error})", side(*at), Text(moment))
            }
            Beside::User(at, moment, doing) => {
                write!(f, ".meanwhile({}, {}, {})", side(*at), Text(moment), Text(doing))
            }
            Beside::Listing(at, Which::Named(about, nth), doing) => {
                write!(f, ".while_listing({}, {about:?}, {nth}, {})", side(*at), Text(doing))
            }
            Beside::Cut(Cutting::Bytes(bytes)) => write!(f, ".cut_after({bytes})"),
            other => write!(f, ".{other:?}"),
        }
    }
}

impl Display for Text<'_, Plan> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Plan { client, way, keep, dry, depth, beside } = self.0;
        f.write_str(match way {
            Way::Pull => "pull()",
            Way::Push => "push()",
            Way::Sync => "sync()",
        })?;
        if *client != 1 {
            write!(f, ".of_client({client})")?;
        }
        f.write_str(if *keep { ".no_delete()" } else { "" })?;
        f.write_str(if *dry { ".after_dry_run()" } else { "" })?;
        f.write_str(["", ".stat()", ".full()"][usize::from(depth % 3)])?;
        beside.iter().try_for_each(|beside| Text(beside).fmt(f))
    }
}

fn at(host: u8, what: &str) -> String {
    if host == 0 { format!(".server({what})") } else { format!(".client({host}, {what})") }
}

impl Display for Text<'_, Step> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let order = |n: u8| ["Order::Sync", "Order::PullPush", "Order::PushPull"][usize::from(n % 3)];
        let text = match self.0 {
            Step::User(host, doing, synced) => {
                at(*host, &format!("{}{}", Text(doing), if *synced { "" } else { ".unsynced()" }))
            }
            Step::Run(plan) => format!(".run({})", Text(plan)),
            Step::Crash(host) => at(*host, "crash()"),
            Step::LoseState(host) => at(*host, "lose_state()"),
            Step::Keep(host) => at(*host, "back_up()"),
            Step::RestoreState(host) => at(*host, "put_state_back()"),
            Step::RestoreTree(host) => at(*host, "put_mail_back()"),
            Step::Wait(n) => {
                let spans = ["Millisecond", "Ticks", "Seconds", "Hours"];
                format!(".wait(Span::{})", spans[usize::from(n % 4)])
            }
            Step::Settle(n) if *n >= COMPARES - 1 => format!(".everybody_rests_after_comparing({})", order(*n)),
            Step::Settle(n) if n % 3 == 0 => ".everybody_rests()".to_owned(),
            Step::Settle(n) => format!(".everybody_rests_by({})", order(*n)),
        };
        f.write_str(&text)
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let habit = match self.habit {
            Habit::Tidy => "tidy",
            Habit::Named => "named",
            Habit::Few => "few",
        };
        write!(f, "Scenario::{habit}()")?;
        if self.clients != 1 {
            write!(f, ".clients({})", self.clients)?;
        }
        let disk = ["", "", "", "Ticks", "Seconds", "TwoSeconds", "Untrusted", "Reusing"][usize::from(self.disk % 8)];
        if !disk.is_empty() {
            write!(f, ".on(Disk::{disk})")?;
        }
        f.write_str(if self.disk & 8 == 0 { "" } else { ".folders_named_otherwise()" })?;
        write!(f, ".seed({})", self.seed)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n    {}", Text(step)))?;
        f.write_str("\n    .plays();")
    }
}
