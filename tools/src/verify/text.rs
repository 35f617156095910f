//! What is said of a comparison: lines for a person, or one JSON object (docs/JSON.md).

use serde_json::{Value, json};
use smd_client::exit::Exit;
use smd_client::report::json::{VERSION, object, troubles};
use smd_client::report::warnings::left_out_words;
use smd_client::report::{Host, Trouble};
use smd_protocol::names::printable;

use super::compare::{Difference, Dress, Kind, RootComparison, Size};

/// Differences of one root that are named unless `-v` asks for all.
const NAMED: usize = 20;

/// How the two hosts are called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// This one.
    pub client: &'a str,
    /// The other.
    pub server: &'a str,
}

/// All roots, for a person.
pub fn listing(names: Names<'_>, roots: &[RootComparison], all: bool) -> String {
    roots.iter().map(|root| one_root(names, root, all)).collect()
}

fn one_root(names: Names<'_>, root: &RootComparison, all: bool) -> String {
    let label = printable(&root.root);
    let host_name = |host| printable(if host == Host::Client { names.client } else { names.server }.as_bytes());
    let left_out = left_out_words(&root.left_out, host_name);
    if root.is_equal() {
        let but_for = left_out.map(|what| format!(", but for {what}")).unwrap_or_default();
        return format!("{label}: equal, {}{but_for}\n", size(root.here));
    }
    let mut text = format!("{label}: {} here, {} at {}\n", size(root.here), size(root.there), names.server);
    let missing = [(root.absent[0], names.client), (root.absent[1], names.server)];
    for (_, host) in missing.iter().filter(|(absent, _)| *absent) {
        text.push_str(&format!("  {host} has no such Maildir\n"));
    }
    let shown = if all { root.differences.len() } else { root.differences.len().min(NAMED) };
    root.differences[..shown].iter().for_each(|difference| text.push_str(&line(difference)));
    if shown < root.differences.len() {
        text.push_str(&format!("  and {} more; -v lists them all\n", root.differences.len() - shown));
    }
    let counts = Kind::ALL.map(|kind| (root.count(kind), words(kind)));
    let counts: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
    if !counts.is_empty() {
        text.push_str(&format!("{label}: different: {}\n", counts.join(", ")));
    }
    if let Some(what) = left_out {
        text.push_str(&format!("{label}: not compared: {what}\n"));
    }
    if !root.complete {
        text.push_str(&format!("{label}: not everything could be read, so more may differ\n"));
    }
    text
}

fn size(size: Size) -> String {
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    format!("{} in {}", plural(size.messages, "message"), plural(size.folders, "folder"))
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::OnlyHere => "only here",
        Kind::OnlyThere => "only there",
        Kind::Content => "other bytes",
        Kind::Flags => "other flags",
        Kind::Place => "other place",
    }
}

fn line(difference: &Difference) -> String {
    match difference {
        Difference::Folder(kind, folder) => format!("  {:<12} folder {folder}\n", words(*kind)),
        Difference::Message { name, kinds, here, there } => {
            let what: Vec<&str> = kinds.iter().map(|kind| words(*kind)).collect();
            let dress = match (here, there) {
                (Some(here), Some(there)) if here != there => {
                    format!(" (here {}, there {})", dressed(here), dressed(there))
                }
                _ => String::new(),
            };
            format!("  {:<12} {name}{dress}\n", what.join(", "))
        }
    }
}

fn dressed(dress: &Dress) -> String {
    format!("{} [{}]", printable(dress.place.dir()), dress.flags)
}

/// A sentence about what could not be read.
pub fn trouble(names: Names<'_>, trouble: &Trouble) -> String {
    let host = if trouble.host == Host::Client { names.client } else { names.server };
    match trouble.path.as_slice() {
        b"" => format!("at {host}: {}", trouble.text),
        path if trouble.text.contains(&printable(path)) => format!("at {host}: {}", trouble.text),
        path => format!("at {host}: {} {}", printable(path), trouble.text),
    }
}

/// The object.
pub fn json(endpoint: &str, names: Names<'_>, roots: &[RootComparison], exit: Exit) -> Value {
    json!({
        "version": VERSION,
        "endpoint": endpoint,
        "client": names.client,
        "server": names.server,
        "exit": exit.code(),
        "equal": roots.iter().all(RootComparison::is_equal),
        "roots": roots.iter().map(root_object).collect::<Vec<_>>(),
    })
}

fn root_object(root: &RootComparison) -> Value {
    let size =
        |size: Size, absent: bool| json!({ "messages": size.messages, "folders": size.folders, "absent": absent });
    let counts: serde_json::Map<String, Value> =
        Kind::ALL.iter().map(|kind| (kind.word().replace('-', "_"), root.count(*kind).into())).collect();
    let value = json!({
        "equal": root.is_equal(),
        "complete": root.complete,
        "client": size(root.here, root.absent[0]),
        "server": size(root.there, root.absent[1]),
        "counts": counts,
        "differences": root.differences.iter().map(difference_object).collect::<Vec<_>>(),
        "troubles": troubles(&root.troubles),
        "left_out": troubles(&root.left_out),
    });
    object(value, [("root", root.root.as_slice())])
}

fn difference_object(difference: &Difference) -> Value {
    let kinds: Vec<&str> = difference.kinds().iter().map(|kind| kind.word()).collect();
    let dress = |dress: &Option<Dress>| {
        dress.as_ref().map(|one| json!({ "place": printable(one.place.dir()), "flags": one.flags.to_string() }))
    };
    match difference {
        Difference::Folder(_, folder) => {
            object(json!({ "kinds": kinds }), [("folder", folder.as_bytes()), ("uniq", b"")])
        }
        Difference::Message { name, here, there, .. } => object(
            json!({ "kinds": kinds, "client": dress(here), "server": dress(there) }),
            [("folder", name.folder.as_bytes()), ("uniq", name.uniq.as_bytes())],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smd_protocol::snapshot::Place;
    use smd_protocol::{Flags, Folder, Name, Uniq};

    fn root(differences: Vec<Difference>) -> RootComparison {
        RootComparison {
            root: b"Maildir".to_vec(),
            here: Size { folders: 1, messages: 2 },
            there: Size { folders: 2, messages: 1 },
            differences,
            absent: [false; 2],
            complete: true,
            troubles: Vec::new(),
            left_out: Vec::new(),
        }
    }

    #[test]
    fn differences_are_lines_with_a_sum() {
        let name = Name::new(&Folder::root(), &Uniq::parse(b"1.a").expect("uniq"));
        let dress = |place, flags| Some(Dress { place, flags: Flags::from_letters(flags) });
        let differences = vec![
            Difference::Message {
                name,
                kinds: vec![Kind::Flags, Kind::Place],
                here: dress(Place::New, ""),
                there: dress(Place::Cur, "S"),
            },
            Difference::Folder(Kind::OnlyThere, Folder::parse(b".Work").expect("folder")),
        ];
        let names = Names { client: "laptop", server: "office" };
        insta::assert_snapshot!(listing(names, &[root(differences.clone())], false), @r"
        Maildir: 2 messages in 1 folder here, 1 message in 2 folders at office
          other flags, other place 1.a (here new [], there cur [S])
          only there   folder .Work
        Maildir: different: 1 only there, 1 other flags, 1 other place
        ");
        let many = root(vec![differences[1].clone(); 30]);
        assert!(listing(names, std::slice::from_ref(&many), false).contains("and 10 more; -v lists them all"));
        assert!(!listing(names, &[many], true).contains("more"));
        assert_eq!(listing(names, &[root(Vec::new())], false), "Maildir: equal, 2 messages in 1 folder\n");
        let link = Trouble::new(Host::Server, b"Maildir/old".to_vec(), "is a symlink, which is not followed");
        let but_for = RootComparison { left_out: vec![link], ..root(Vec::new()) };
        assert_eq!(
            listing(names, &[but_for], false),
            "Maildir: equal, 2 messages in 1 folder, but for Maildir/old at office is a symlink, which is not followed\n"
        );
    }
}
