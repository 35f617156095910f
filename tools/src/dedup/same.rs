//! Which messages of a folder are one, and which of them stays: pure.

use std::collections::BTreeMap;

use smd_protocol::{Content, Digest, Place, Uniq, header};

/// The fields that tell a message from another one with its body.
const FIELDS: [&str; 4] = ["Message-ID", "Date", "From", "Subject"];

/// A message as it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Read {
    /// Its name.
    pub uniq: Uniq,
    /// The directory that it lies in.
    pub place: Place,
    /// Its whole file name.
    pub file: Vec<u8>,
    /// It is marked as deleted, so that a mail program may soon remove it.
    pub trashed: bool,
    /// Its bytes.
    pub content: Content,
    /// The digest of the fields that tell it from others.
    pub who: Digest,
}

/// The digest of what of a header tells a message from another one with its body: some fields, and where none of them is its own
/// name, the Message-ID, the whole header but for the marks of other programs.
pub fn who(header: &[u8]) -> Digest {
    if header::value(header, FIELDS[0]).is_none_or(|id| id.is_empty()) {
        let whole = header::without_marks(header).unwrap_or_else(|| Digest::of(header));
        return Digest::of(&[&b"whole"[..], &whole.0].concat());
    }
    let each = FIELDS.into_iter().flat_map(|field| {
        let value = header::value(header, field);
        // A field that is missing is not one that is empty.
        let length = value.as_ref().map_or(u64::MAX, |value| value.len() as u64);
        [length.to_le_bytes().to_vec(), value.unwrap_or_default()].concat()
    });
    Digest::of(&each.collect::<Vec<u8>>())
}

/// A message that stays, and its doubles.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// It stays.
    pub stays: Read,
    /// They go.
    pub doubles: Vec<Read>,
}

/// The groups of a folder that have doubles, in the order of what stays.
pub fn groups(messages: Vec<Read>) -> Vec<Group> {
    let nothing = Digest::of(b"");
    let mut alike: BTreeMap<(Digest, Digest), Vec<Read>> = BTreeMap::new();
    for one in messages.into_iter().filter(|one| one.content.body != nothing) {
        alike.entry((one.content.body, one.who)).or_default().push(one);
    }
    let mut groups: Vec<Group> = Vec::new();
    for mut alike in alike.into_values().filter(|alike| alike.len() > 1) {
        // One that is marked as deleted goes before one that is not.
        alike.sort_by(|a, b| (a.trashed, age(&a.uniq)).cmp(&(b.trashed, age(&b.uniq))));
        let stays = alike.remove(0);
        groups.push(Group { stays, doubles: alike });
    }
    groups.sort_by(|a, b| a.stays.uniq.cmp(&b.stays.uniq));
    groups
}

/// Sorts names by age: by the number that a name begins with, which is the time of its delivery; a name without one is younger.
fn age(uniq: &Uniq) -> (bool, usize, &[u8]) {
    let name = uniq.as_bytes();
    let zeros = name.iter().take_while(|&&byte| byte == b'0').count();
    let digits = name[zeros..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    // Numbers of one length sort as their digits do.
    (zeros + digits == 0, digits, &name[zeros..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uniq: &str, message: &str) -> Read {
        let end = message.find("\n\n").map_or(message.len(), |at| at + 2);
        let (name, marks) = uniq.split_once(":2,").unwrap_or((uniq, ""));
        Read {
            uniq: Uniq::parse(name.as_bytes()).expect("uniq"),
            place: Place::Cur,
            file: uniq.into(),
            trashed: marks.contains('T'),
            content: Content::of(message.as_bytes()),
            who: who(&message.as_bytes()[..end]),
        }
    }

    #[test]
    fn a_message_that_is_marked_as_deleted_does_not_stay_for_one_that_is_not() {
        let mail = "Message-ID: <1>\n\nbody\n";
        let groups = groups(vec![read("1600000000.a:2,ST", mail), read("1700000000.b:2,S", mail)]);
        assert_eq!(groups[0].stays.uniq.to_string(), "1700000000.b");
    }

    #[test]
    fn messages_that_nobody_named_are_one_only_when_all_of_them_is_the_same() {
        let to = |name: &str| format!("From: a\nTo: {name}\nDate: d\nSubject: s\n\nbody\n");
        assert!(groups(vec![read("1", &to("b")), read("2", &to("c"))]).is_empty());
        assert!(groups(vec![read("1", &(String::from("Message-ID:\n") + &to("b"))), read("2", &to("b"))]).is_empty());
        assert_eq!(groups(vec![read("1", &to("b")), read("2", &(String::from("X-TUID: q\n") + &to("b")))]).len(), 1);
    }

    #[test]
    fn the_oldest_name_stays_and_other_messages_with_its_body_do_too() {
        let mail = |id: &str, more: &str| format!("{more}From: a\nSubject: s\n t\nMessage-ID: <{id}>\n\nbody\n");
        let messages = vec![
            read("1700000100.M1P1.host,U=7", &mail("1", "X-TUID: q\n")),
            read("x", &mail("1", "")),
            read("999999999.a", &mail("1", "Status: RO\n")),
            read("1600000000.a", &mail("2", "")),
            read("1600000001.a", &mail("1", "").replace("s\n t", "other")),
            read("1600000002.a", "From: a\n\n"),
            read("1600000003.a", "From: a\n\n"),
        ];
        let groups = groups(messages);
        let named = |read: &Read| read.uniq.to_string();
        assert_eq!(groups.len(), 1);
        assert_eq!(named(&groups[0].stays), "999999999.a");
        assert_eq!(groups[0].doubles.iter().map(named).collect::<Vec<_>>(), ["1700000100.M1P1.host,U=7", "x"]);
    }

    #[test]
    fn a_field_that_is_missing_is_not_one_that_is_empty() {
        assert_ne!(who(b"Message-ID: 1\nSubject:\n\n"), who(b"Message-ID: 1\n\n"));
        assert_eq!(who(b"MESSAGE-ID:  1\r\nX: 1\r\n\r\n"), who(b"Message-ID: 1\n\n"));
    }
}
