//! The log of an endpoint, `log/NAME.log` in the directory of config and state: a line for every run, and one for
//! every message that it touched.
//!
//! Rooms: [`text`] (the wording), [`past`] (the last runs, for `--status`), [`frames`] (`DEBUG=true`: what went over the wire).
//!
//! A log that cannot be written fails no run. Deliberately not here: dry runs, which have no log; and bodies of mail.

pub mod frames;
pub mod past;
pub mod text;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Zoned;

use crate::home::SmdHome;

/// A log that is larger than this becomes the last one, and a new one is begun.
const MOST_BYTES: u64 = 1 << 20;
/// Logs that are kept: `NAME.log`, and `NAME.log.1` before it, up to one less than this.
const KEPT: u32 = 3;
/// Lines are written together, this many bytes at a time, and at the end of each batch.
const TOGETHER: usize = 16 << 10;

/// Where the log of an endpoint is.
pub fn path(home: &SmdHome, endpoint: &str) -> PathBuf {
    home.path().join("log").join(format!("{endpoint}.log"))
}

/// A log that is being written. The first line opens it; an error ends it.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Option<(File, u64)>,
    waiting: Vec<u8>,
    broken: Option<io::Error>,
    most: u64,
}

impl Log {
    /// The log of an endpoint; nothing is opened yet.
    pub fn new(home: &SmdHome, endpoint: &str) -> Self {
        Self { path: path(home, endpoint), file: None, waiting: Vec::new(), broken: None, most: MOST_BYTES }
    }

    /// Adds a line with the time of now. Line ends within the text become blanks.
    pub fn line(&mut self, text: &str) {
        if self.broken.is_some() {
            return;
        }
        let now = Zoned::now().strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
        self.waiting.extend_from_slice(now.as_bytes());
        self.waiting.push(b' ');
        self.waiting.extend(text.trim_end().bytes().map(|byte| if byte == b'\n' { b' ' } else { byte }));
        self.waiting.push(b'\n');
        if self.waiting.len() >= TOGETHER {
            self.flush();
        }
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty()
            && self.broken.is_none()
            && let Err(error) = self.write(&waiting)
        {
            self.broken = Some(error);
        }
    }

    /// What went wrong, once.
    pub fn take_error(&mut self) -> Option<String> {
        self.flush();
        self.broken.take().map(|error| format!("the log {} cannot be written: {error}", self.path.display()))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut file, mut size) = match self.file.take() {
            Some(open) => open,
            None => open(&self.path)?,
        };
        if size >= self.most {
            self.turn(&file)?;
            (file, size) = open(&self.path)?;
        }
        file.write_all(bytes)?;
        self.file = Some((file, size + bytes.len() as u64));
        Ok(())
    }

    /// Makes this log the last one, unless another run did so meanwhile.
    fn turn(&self, file: &File) -> io::Result<()> {
        let (ours, there) = (file.metadata()?, fs::metadata(&self.path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            for number in (1..KEPT).rev() {
                let from = if number == 1 { self.path.clone() } else { numbered(&self.path, number - 1) };
                match fs::rename(from, numbered(&self.path, number)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Opens a file beside the logs to add to it, for its owner alone, and says how large it is.
pub(crate) fn open(path: &Path) -> io::Result<(File, u64)> {
    if let Some(dir) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let file = File::options().append(true).create(true).mode(0o600).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(dir: &Path) -> Log {
        let mut log = Log::new(&SmdHome::new(dir, dir), "work");
        log.most = 1000;
        log
    }

    #[test]
    fn a_log_grows_from_run_to_run_and_each_line_begins_with_its_time() {
        let temp = tempfile::tempdir().expect("a directory");
        log(temp.path()).line("one\nline\n");
        log(temp.path()).line("two");
        let text = fs::read_to_string(temp.path().join("log/work.log")).expect("it was written");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].ends_with(" one line") && lines[1].ends_with(" two"), "{text}");
        assert!(Zoned::now().strftime("%Y-").to_string() == lines[0][..5], "{text}");
        assert_eq!(lines[0].find(" one"), Some("2026-11-22 06:11:39 +00:00".len()), "{text}");
    }

    #[test]
    fn a_large_log_is_turned_over_and_three_are_kept() {
        let temp = tempfile::tempdir().expect("a directory");
        for number in 0..100 {
            let mut log = log(temp.path());
            log.line(&format!("line {number} {}", "x".repeat(200)));
        }
        let read = |name: &str| fs::read_to_string(temp.path().join("log").join(name)).unwrap_or_default();
        let all = [read("work.log.2"), read("work.log.1"), read("work.log")].concat();
        let lines: Vec<&str> = all.lines().collect();
        assert!(lines.len() >= 9 && lines.len() <= 15, "{}", lines.len());
        assert!(lines.last().expect("lines").contains("line 99 "));
        assert_eq!(fs::read_dir(temp.path().join("log")).expect("a directory").count(), 3);
    }

    #[test]
    fn a_log_that_cannot_be_written_says_so_once_and_nothing_else_happens() {
        let temp = tempfile::tempdir().expect("a directory");
        fs::write(temp.path().join("log"), "a file in the way").expect("a file");
        let mut log = log(temp.path());
        log.line("one");
        assert!(log.take_error().expect("an error").contains("log/work.log cannot be written"));
        log.line("two");
        log.flush();
    }
}
