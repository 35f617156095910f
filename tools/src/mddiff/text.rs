//! Commands as lines: words, or JSON objects (docs/FORMAT-mddiff.md).

use serde_json::{Value, json};
use smd_client::report::json::object;
use smd_protocol::names::printable;
use smd_protocol::{Content, Digest};

use super::diff::Command;
use super::names::escape;

/// A command as a line of words.
pub fn line(command: &Command) -> Vec<u8> {
    let mut out = Vec::new();
    let (word, name) = head(command);
    out.extend_from_slice(word.as_bytes());
    out.push(b' ');
    escape(name, &mut out);
    let mut add = |text: String| out.extend_from_slice(text.as_bytes());
    match command {
        Command::Add(_, content) | Command::Delete(_, content) => add(both(content)),
        Command::Copy(_, content, to) | Command::Move(_, content, to) => {
            add(format!("{} TO ", both(content)));
            escape(to, &mut out);
        }
        Command::CopyBody(_, body, to, header) => {
            add(format!(" {body} TO "));
            escape(to, &mut out);
            out.extend_from_slice(format!(" {header}").as_bytes());
        }
        Command::ReplaceHeader(_, was, header) => add(format!("{} WITH {header}", both(was))),
        Command::Replace(_, was, is) => add(format!("{} WITH{}", both(was), both(is))),
    }
    out.push(b'\n');
    out
}

/// The line of an error.
pub fn error(text: &str) -> Vec<u8> {
    format!("ERROR {}\n", printable(text.replace('\n', " ").as_bytes())).into_bytes()
}

fn both(Content { header, body }: &Content) -> String {
    format!(" {header} {body}")
}

fn head(command: &Command) -> (&'static str, &[u8]) {
    match command {
        Command::Add(name, _) => ("ADD", name),
        Command::Copy(name, ..) => ("COPY", name),
        Command::CopyBody(name, ..) => ("COPYBODY", name),
        Command::Move(name, ..) => ("MOVE", name),
        Command::ReplaceHeader(name, ..) => ("REPLACEHEADER", name),
        Command::Replace(name, ..) => ("REPLACE", name),
        Command::Delete(name, _) => ("DELETE", name),
    }
}

/// A command as an object.
pub fn json(command: &Command) -> Value {
    let (word, name) = head(command);
    let digest = |digest: &Digest| digest.to_string();
    let mut names = vec![("name", name)];
    let rest = match command {
        Command::Add(_, content) | Command::Delete(_, content) => {
            json!({ "command": word, "hsha": digest(&content.header), "bsha": digest(&content.body) })
        }
        Command::Copy(_, content, to) | Command::Move(_, content, to) => {
            names.push(("to", to));
            json!({ "command": word, "hsha": digest(&content.header), "bsha": digest(&content.body) })
        }
        Command::CopyBody(_, body, to, header) => {
            names.push(("to", to));
            json!({ "command": word, "bsha": digest(body), "new_hsha": digest(header) })
        }
        Command::ReplaceHeader(_, was, header) => {
            json!({ "command": word, "hsha": digest(&was.header), "bsha": digest(&was.body), "new_hsha": digest(header) })
        }
        Command::Replace(_, was, is) => json!({
            "command": word,
            "hsha": digest(&was.header),
            "bsha": digest(&was.body),
            "new_hsha": digest(&is.header),
            "new_bsha": digest(&is.body),
        }),
    };
    object(rest, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_that_of_the_predecessor() {
        let [one, two] = [Content::of(b"1\n\nx"), Content::of(b"2\n\ny")];
        let name = |name: &str| name.as_bytes().to_vec();
        let commands = [
            Command::Add(name("a b"), one),
            Command::Copy(name("a"), one, name("b")),
            Command::CopyBody(name("a"), one.body, name("b"), two.header),
            Command::Move(name("a"), one, name("b%")),
            Command::ReplaceHeader(name("a"), one, two.header),
            Command::Replace(name("a"), one, two),
            Command::Delete(name("a"), one),
        ];
        let digests = [(one.header, "H1"), (one.body, "B1"), (two.header, "H2"), (two.body, "B2")];
        let short =
            |text: String| digests.iter().fold(text, |text, (digest, word)| text.replace(&digest.to_string(), word));
        let mut text: String = commands.iter().map(|one| String::from_utf8(line(one)).expect("ASCII")).collect();
        text.push_str(&String::from_utf8(error("no\nthing")).expect("ASCII"));
        insta::assert_snapshot!(short(text), @r"
        ADD a%20b H1 B1
        COPY a H1 B1 TO b
        COPYBODY a B1 TO b H2
        MOVE a H1 B1 TO b%25
        REPLACEHEADER a H1 B1 WITH H2
        REPLACE a H1 B1 WITH H2 B2
        DELETE a H1 B1
        ERROR no thing
        ");
        let object = json(&commands[3]);
        assert_eq!((object["command"].as_str(), object["to"].as_str()), (Some("MOVE"), Some("b%")));
    }
}
