//! What `strace` saw, as events in order: files written, synced, renamed, and frames of the wire.
//!
//! Made for one question: was *this* durable before *that* began? So an event has the line at which its call began and the
//! line at which it ended; a sync counts for what ended before it began, and must have ended before what relies on it begins.
//!
//! Deliberately not here: what the order should be. Tests say that.

use std::collections::BTreeMap;

/// The calls that must be traced, and how, for [`Trace::parse`] to understand the output.
pub const OPTIONS: [&str; 8] = [
    "-f",
    "-y",
    "-qq",
    "-s",
    "65536",
    "-e",
    "signal=none",
    "--trace=fsync,fdatasync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,write,writev,pwrite64,read,openat,mkdir,\
     mkdirat,ftruncate,clone,clone3,fork,vfork",
];

/// What a successful call did; paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A file was opened that may have been made by this.
    Create(String),
    /// Bytes were written to a file or pipe.
    Write(String, Vec<u8>),
    /// Bytes were read from a pipe.
    Read(String, Vec<u8>),
    /// A file or directory was made durable.
    Sync(String),
    /// The whole file system of this path was made durable.
    SyncFs(String),
    /// A name was changed.
    Rename {
        /// The old path.
        from: String,
        /// The new path.
        to: String,
        /// `RENAME_NOREPLACE`, `RENAME_EXCHANGE`, or `0`.
        how: String,
    },
    /// A file got a second name.
    Link(String),
    /// A name was removed.
    Unlink(String),
    /// A directory was made.
    MakeDir(String),
    /// A file was cut.
    Truncate(String),
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Which process, counted from 0 in the order in which they were started.
    pub process: usize,
    /// The line at which it began.
    pub begin: usize,
    /// The line at which it ended.
    pub end: usize,
    /// What it did.
    pub act: Act,
}

/// A message of the wire, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Which process sent or received it.
    pub process: usize,
    /// Whether it was sent.
    pub sent: bool,
    /// The first byte of the message: which of the sender's messages it is.
    pub variant: u8,
    /// The line at which the call began that brought its last byte.
    pub begin: usize,
    /// The line at which that call ended.
    pub end: usize,
}

/// All events of some processes.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In the order in which they ended.
    pub events: Vec<Event>,
}

/// A call whose end is known.
struct Call<'a> {
    thread: u32,
    begin: usize,
    end: usize,
    name: &'a str,
    /// Arguments, closing parenthesis, result.
    rest: String,
}

impl Trace {
    /// Takes the text that `strace -o` wrote with [`OPTIONS`].
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        let calls = calls(text);
        let mut process_of: BTreeMap<u32, usize> = BTreeMap::new();
        let mut count = 0;
        let mut add = |process_of: &mut BTreeMap<u32, usize>, thread: u32| {
            process_of.entry(thread).or_insert_with(|| {
                count += 1;
                count - 1
            });
        };
        if let Some(first) = text.split_whitespace().next() {
            add(&mut process_of, first.parse().expect("a line begins with the number of a thread"));
        }
        for call in calls.iter().filter(|call| ["clone", "clone3", "fork", "vfork"].contains(&call.name)) {
            let Some(child) = call.rest.rsplit_once(" = ").and_then(|(_, result)| first_number(result)) else {
                continue;
            };
            match (call.rest.contains("CLONE_THREAD"), process_of.get(&call.thread).copied()) {
                (true, Some(process)) => drop(process_of.insert(child, process)),
                _ => add(&mut process_of, child),
            }
        }
        let mut events = Vec::new();
        for call in &calls {
            let Some(&process) = process_of.get(&call.thread) else { continue };
            let Some(act) = act(call.name, &call.rest) else { continue };
            events.push(Event { process, begin: call.begin, end: call.end, act });
        }
        events.sort_by_key(|event| event.end);
        Self { events }
    }

    /// The events of one process.
    pub fn of(&self, process: usize) -> Vec<&Event> {
        self.events.iter().filter(|event| event.process == process).collect()
    }

    /// The messages that one process sent and received; of a compressed wire, the first ones.
    pub fn frames(&self, process: usize) -> Vec<Frame> {
        let mut streams: BTreeMap<(bool, &str), Vec<u8>> = BTreeMap::new();
        let mut frames = Vec::new();
        for event in self.of(process) {
            let (sent, pipe, bytes) = match &event.act {
                Act::Write(path, bytes) => (true, path, bytes),
                Act::Read(path, bytes) => (false, path, bytes),
                _ => continue,
            };
            if !pipe.starts_with("pipe:") {
                continue;
            }
            let open = streams.entry((sent, pipe)).or_default();
            if open.is_empty() && bytes.starts_with(b"\0smdwire") {
                // The preamble, once; a frame begins with 1 or 2.
                open.push(b'w');
                open.extend_from_slice(&bytes[12..]);
            } else if !open.is_empty() {
                open.extend_from_slice(bytes);
            }
            while let Some((&[kind, a, b, c, d], rest)) = open.get(1..).and_then(|open| open.split_first_chunk::<5>()) {
                let length = u32::from_le_bytes([a, b, c, d]) as usize;
                // Behind a `Hello` that asks for it, all is compressed, and a frame is not told from anything else.
                if !(1..=2).contains(&kind) || rest.len() < length {
                    break;
                }
                if kind == 1 && length > 0 {
                    frames.push(Frame { process, sent, variant: rest[0], begin: event.begin, end: event.end });
                }
                open.drain(1..6 + length);
            }
        }
        frames
    }
}

/// Joins what `strace` had to write in two lines.
fn calls(text: &str) -> Vec<Call<'_>> {
    let mut open: BTreeMap<u32, (usize, &str, &str)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, line)) = line.split_once(' ') else { continue };
        let (Ok(thread), line) = (thread.parse::<u32>(), line.trim_start()) else { continue };
        if let Some(resumed) = line.strip_prefix("<... ") {
            let (Some((begin, name, first)), Some((_, rest))) = (open.remove(&thread), resumed.split_once(" resumed>"))
            else {
                continue;
            };
            calls.push(Call { thread, begin, end: number, name, rest: format!("{first}{rest}") });
            continue;
        }
        let Some((name, rest)) = line.split_once('(') else { continue };
        match rest.strip_suffix("<unfinished ...>") {
            Some(first) => drop(open.insert(thread, (number, name, first.trim_end()))),
            None => calls.push(Call { thread, begin: number, end: number, name, rest: rest.to_owned() }),
        }
    }
    calls
}

fn act(name: &str, rest: &str) -> Option<Act> {
    let (arguments, result) = split_arguments(rest)?;
    let result = result.trim_start().strip_prefix("= ")?;
    if result.starts_with(['-', '?']) {
        return None;
    }
    let path = |at: usize| path_of_fd(arguments.get(at)?);
    let below = |dir: usize| Some(join(&path(dir)?, &String::from_utf8_lossy(&unquote(arguments.get(dir + 1)?))));
    let bytes = || {
        let mut bytes = unquote(arguments.get(1)?);
        bytes.truncate(first_number(result)? as usize);
        Some(bytes)
    };
    Some(match name {
        "openat" if arguments.get(2)?.contains("O_CREAT") => Act::Create(below(0)?),
        "write" | "pwrite64" => Act::Write(path(0)?, bytes()?),
        "read" if path(0)?.starts_with("pipe:") => Act::Read(path(0)?, bytes()?),
        "fsync" | "fdatasync" => Act::Sync(path(0)?),
        "syncfs" => Act::SyncFs(path(0)?),
        "renameat" | "renameat2" => {
            Act::Rename { from: below(0)?, to: below(2)?, how: arguments.get(4).cloned().unwrap_or_default() }
        }
        "linkat" => Act::Link(below(2)?),
        "unlinkat" => Act::Unlink(below(0)?),
        "mkdirat" => Act::MakeDir(below(0)?),
        "ftruncate" => Act::Truncate(path(0)?),
        // Ours make none of these; a test that asks for their absence must see them.
        "rename" | "link" | "unlink" | "mkdir" | "writev" => Act::Unlink(format!("{name}({rest}")),
        _ => return None,
    })
}

/// Cuts arguments at the commas between them, up to the closing parenthesis.
fn split_arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut arguments, mut one) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in text.char_indices() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => quoted = true,
                '<' | '{' | '[' | '(' => depth += 1,
                ')' if depth == 0 => {
                    arguments.push(one.trim().to_owned());
                    return Some((arguments, &text[at + 1..]));
                }
                '>' | '}' | ']' | ')' => depth -= 1,
                ',' if depth == 0 => {
                    arguments.push(std::mem::take(&mut one).trim().to_owned());
                    continue;
                }
                _ => {}
            }
        }
        one.push(c);
    }
    None
}

/// `3</a/path>`, `4<pipe:[123]>`, `AT_FDCWD</here>`.
fn path_of_fd(argument: &str) -> Option<String> {
    let (_, path) = argument.split_once('<')?;
    Some(String::from_utf8_lossy(&unescape(path.strip_suffix('>')?)).into_owned())
}

fn join(dir: &str, name: &str) -> String {
    match name {
        _ if name.starts_with('/') => name.to_owned(),
        "." => dir.to_owned(),
        _ => format!("{dir}/{name}"),
    }
}

fn unquote(argument: &str) -> Vec<u8> {
    let text = argument.trim_end_matches("...");
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(unescape).unwrap_or_default()
}

/// Escapes as in C: letters, and up to three octal digits.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(digit @ b'0'..=b'7') => {
                let mut value = u32::from(digit - b'0');
                for _ in 0..2 {
                    let Some(digit) = bytes.next_if(|byte| (b'0'..=b'7').contains(byte)) else { break };
                    value = value * 8 + u32::from(digit - b'0');
                }
                out.push(value as u8);
            }
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'v') => out.push(0x0b),
            Some(b'f') => out.push(0x0c),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

fn first_number(text: &str) -> Option<u32> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_in_two_lines_are_joined_and_threads_belong_to_their_process() {
        let text = "\
            7 clone3({flags=CLONE_VM|CLONE_VFORK, stack_size=0x9000}, 88 <unfinished ...>\n\
            8 fsync(3</b/x>) = 0\n\
            7 <... clone3 resumed>) = 8\n\
            7 clone3({flags=CLONE_VM|CLONE_THREAD, parent_tid=0x1}, 88) = 9\n\
            9 write(4<pipe:[5]>, \"a\\0\\1b\\\"\", 6 <unfinished ...>\n\
            8 syncfs(3</b>) = 0\n\
            9 <... write resumed>) = 4\n\
            7 unlinkat(5</a>, \"gone\", 0) = -1 ENOENT (No such file or directory)\n";
        let trace = Trace::parse(text);
        let event = |process, begin, end, act| Event { process, begin, end, act };
        assert_eq!(
            trace.events,
            [
                event(1, 1, 1, Act::Sync("/b/x".into())),
                event(1, 5, 5, Act::SyncFs("/b".into())),
                event(0, 4, 6, Act::Write("pipe:[5]".into(), b"a\0\x01b".to_vec())),
            ]
        );
    }

    #[test]
    fn names_are_joined_to_their_directories() {
        let line = "1 renameat2(3</r/tmp>, \"a, (b) \\303\\274\", 4</r/cur>, \"a:2,S\", RENAME_NOREPLACE) = 0\n\
                    1 openat(3</r/tmp>, \"n\", O_RDWR|O_CREAT|O_EXCL, 0600) = 5</r/tmp/n>\n\
                    1 openat(AT_FDCWD</h>, \"/etc/x\", O_RDONLY) = 5</etc/x>\n";
        let acts: Vec<Act> = Trace::parse(line).events.into_iter().map(|event| event.act).collect();
        let (from, to, how) = ("/r/tmp/a, (b) ü".into(), "/r/cur/a:2,S".into(), "RENAME_NOREPLACE".into());
        assert_eq!(acts, [Act::Rename { from, to, how }, Act::Create("/r/tmp/n".into())]);
    }

    #[test]
    fn frames_are_told_from_what_else_goes_through_a_pipe() {
        let text = "1 write(9<pipe:[1]>, \"noise\", 5) = 5\n\
                    1 write(4<pipe:[2]>, \"\\0smdwire\\1\\0\\1\\0\\1\\2\\0\\0\\0\\7x\\1\\1\", 21) = 21\n\
                    1 write(4<pipe:[2]>, \"\\0\\0\\0\\10\\2\\1\\0\\0\\0z\", 10) = 10\n\
                    1 read(5<pipe:[3]>, \"\\0smdwire\\1\\0\\1\\0\", 8192) = 12\n\
                    1 read(5<pipe:[3]>, \"\\1\\1\\0\\0\\0\\12\", 8192) = 6\n";
        let frames = Trace::parse(text).frames(0);
        let seen: Vec<(bool, u8, usize)> = frames.iter().map(|frame| (frame.sent, frame.variant, frame.end)).collect();
        assert_eq!(seen, [(true, 7, 1), (true, 8, 2), (false, 10, 4)]);
    }
}
