//! What was left as it was, one warning for each cause: what the system said, of which root at which host.
//!
//! A full disk stops hundreds of steps in a second and is one thing to know. The system's own words tell the cause, which both
//! hosts put at the end of a sentence as `No space left on device (os error 28)`; a root stands for its file system. What has
//! no such words is told apart by its sentence without the name.

use smd_protocol::names::printable;

use super::summary::count;
use super::warnings::{System, Warning, Weight, host_name};
use super::{Met, Report, Trouble};

/// How many causes are named before the rest is only counted.
const NAMED: usize = 10;
/// How many paths of one cause are named.
const PATHS: usize = 3;

/// Those of one cause.
struct Group<'a> {
    cause: String,
    troubles: Vec<&'a Trouble>,
}

/// A warning for each cause, in the order in which they were met.
pub(super) fn warnings(report: &Report) -> Vec<Warning> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for trouble in &report.troubles {
        let cause = cause(trouble);
        let at = *known.entry((trouble.host, &trouble.root, trouble.met, cause.clone())).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => group.troubles.push(trouble),
            None => groups.push(Group { cause, troubles: vec![trouble] }),
        }
    }
    let mut warnings: Vec<Warning> = groups.iter().take(NAMED).map(|group| told(report, group)).collect();
    let rest: usize = groups.iter().skip(NAMED).map(|group| group.troubles.len()).sum();
    if rest > 0 {
        warnings.push(Warning::new(Weight::Warning, format!("and {rest} more; --json lists them all.")));
    }
    warnings
}

fn told(report: &Report, group: &Group<'_>) -> Warning {
    let (first, number) = (group.troubles[0], group.troubles.len());
    let host = host_name(report, first.host);
    let text = printable(first.text.as_bytes());
    let system = system_said(&first.text).is_some();
    let weight = if group.troubles.iter().all(|one| one.passing) { Weight::Passing } else { Weight::Warning };
    let key = match system {
        true => format!("{:?} {:?} {:?} {}", first.host, first.met, printable(&first.root), group.cause),
        false => format!("{} {text}", printable(&first.path)),
    };
    let error = system_said(&first.text).and_then(error_number);
    let told_by = error.map(|error| System { host: first.host, root: first.root.clone(), error });
    if number == 1 {
        let text = format!("{} at {host}: {text}.", printable(&first.path));
        return Warning { text, hint: None, weight, key, system: told_by };
    }
    let what = match first.met {
        Met::Step => count(number as u64, "change", "changes") + " could not be made",
        Met::Look => count(number as u64, "file or folder", "files or folders") + " could not be read",
        Met::Hook => count(number as u64, "hook", "hooks") + " failed",
    };
    let paths: Vec<String> = group.troubles.iter().take(PATHS).map(|one| printable(&one.path)).collect();
    let more = if number > PATHS { format!(" and {} more", number - PATHS) } else { String::new() };
    // Of two local directories the hosts are called by their paths.
    let root = if first.root.is_empty() || printable(&first.root) == host {
        String::new()
    } else {
        format!("{} at ", printable(&first.root))
    };
    let cause = if system { format!(": {}", printable(group.cause.as_bytes())) } else { String::new() };
    let text = format!("{root}{host}: {what}{cause}: {}{more}. The first: {text}.", paths.join(", "));
    Warning { text, hint: None, weight, key, system: told_by }
}

/// What tells the cause of a trouble from others.
fn cause(trouble: &Trouble) -> String {
    match system_said(&trouble.text) {
        Some(said) => said.to_owned(),
        None => {
            let path = printable(&trouble.path);
            let name = path.rsplit('/').next().unwrap_or_default();
            trouble.text.split(' ').filter(|word| name.is_empty() || !word.contains(name)).collect::<Vec<_>>().join(" ")
        }
    }
}

/// What the system said, with its number, if a text ends in it or has it before what to do.
pub(crate) fn system_said(text: &str) -> Option<&str> {
    let (before, after) = text.split_once(" (os error ")?;
    let start = before.rfind(": ").map_or(0, |at| at + 2);
    let number = after.find(')')?;
    text.get(start..before.len() + " (os error ".len() + number + 1)
}

/// The number in what the system said.
pub(crate) fn error_number(said: &str) -> Option<i32> {
    said.rsplit_once("(os error ")?.1.strip_suffix(')')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::Host;
    use super::*;

    fn full(number: usize) -> Trouble {
        let path = format!(".a/{number}");
        let text = format!(
            "cannot create /mail/.a/tmp/{number}: No space left on device (os error 28); make room on this disk"
        );
        Trouble { met: Met::Step, root: b"Maildir".to_vec(), ..Trouble::new(Host::Server, path, text) }
    }

    fn report(troubles: Vec<Trouble>) -> Report {
        Report { client: "laptop".into(), server: "office".into(), troubles, ..Report::default() }
    }

    #[test]
    fn a_full_disk_is_one_warning_with_the_number_of_messages() {
        let warnings = warnings(&report((0..271).map(full).collect()));
        assert_eq!(warnings.len(), 1);
        insta::assert_snapshot!(warnings[0].text, @"Maildir at office: 271 changes could not be made: No space left on device (os error 28): .a/0, .a/1, .a/2 and 268 more. The first: cannot create /mail/.a/tmp/0: No space left on device (os error 28); make room on this disk.");
    }

    #[test]
    fn causes_are_told_apart_by_error_host_and_root_and_stay_the_same_whatever_their_numbers() {
        let mut troubles: Vec<Trouble> = (0..4).map(full).collect();
        troubles[1].host = Host::Client;
        troubles[2].root = b"Other".to_vec();
        troubles[3].text = "cannot create x: Read-only file system (os error 30)".into();
        let all = warnings(&report(troubles));
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|one| all.iter().filter(|other| other.key == one.key).count() == 1));
        let (one, many) = (warnings(&report(vec![full(7)])), warnings(&report((0..3).map(full).collect())));
        assert_eq!(one[0].key, many[0].key);
        let system = |at: usize| all[at].system.clone().expect("the system said it");
        assert_eq!((system(2).root, system(3).error), (b"Other".to_vec(), 30));
    }

    #[test]
    fn what_differs_in_the_name_alone_is_one_cause_too() {
        let changed = |number| {
            let text = format!("/mail/{number}.x:2,S was edited; the next run looks again");
            Trouble { passing: true, met: Met::Step, ..Trouble::new(Host::Client, format!("{number}.x"), text) }
        };
        let all = warnings(&report((0..20).map(changed).collect()));
        assert_eq!((all.len(), all[0].weight), (1, Weight::Passing));
        let other = Trouble::new(Host::Client, "a", "is not a regular file");
        assert_eq!(warnings(&report(vec![changed(1), other])).len(), 2);
    }

    #[test]
    fn more_causes_than_anybody_reads_are_counted() {
        let other = |number: usize| Trouble::new(Host::Client, "a", format!("cause {number}"));
        let all = warnings(&report((0..14).map(other).collect()));
        assert_eq!(all.len(), NAMED + 1);
        assert_eq!(all[NAMED].text, "and 4 more; --json lists them all.");
    }
}
