//! The disk in memory does as the kernel does: the same random calls on both, and equal answers.

use std::io::{self, Read as _, Write as _};
use std::path::Path;

use smd_maildir::fs::{Disk, Fs, Kind, Rename};
use smd_protocol::delta::Mtime;

use crate::memory::{Memory, Settings};
use smd_tests::rng::Rng;

const NAMES: [&[u8]; 5] = [b"a", b"b", b"c", b"d", &[b'x'; 256]];

struct Side<F: Fs> {
    fs: F,
    dirs: Vec<F::Dir>,
}

impl<F: Fs> Side<F> {
    fn open(fs: F, path: &Path) -> Self {
        let top = fs.open_root(path).expect("opens");
        Self { fs, dirs: vec![top] }
    }

    fn call(&mut self, rng: &mut Rng) -> String {
        let what = rng.within(0..16);
        let (at, to) = (rng.index(self.dirs.len()), rng.index(self.dirs.len()));
        let (at, to) = (self.dirs[at].clone(), self.dirs[to].clone());
        let name = |rng: &mut Rng| NAMES[if rng.chance(2) { 4 } else { rng.index(4) }];
        let (old, new) = (name(rng), name(rng));
        let len = rng.index(30);
        let bytes = rng.bytes(len);
        let size = rng.within(0..20);
        let answer = match what {
            0 | 1 => self.fs.make_dir(&at, old).map(|()| String::new()),
            2 => self.fs.remove_dir(&at, old).map(|()| String::new()),
            3 | 4 => self.fs.open_dir(&at, old).map(|dir| {
                if self.dirs.len() < 6 {
                    self.dirs.push(dir);
                } else {
                    self.dirs[1 + (size as usize % 5)] = dir;
                }
                String::new()
            }),
            5 | 6 => self.fs.create(&at, old).and_then(|mut file| {
                file.write_all(&bytes)?;
                self.fs.set_mode(&file, 0o640)?;
                self.fs.set_mtime(&file, Mtime { sec: -5, nsec: 7 })?;
                let stat = self.fs.stat_file(&file)?;
                Ok(format!("{:?} {:o} {} {}", stat.mtime, stat.mode, stat.size, stat.links))
            }),
            7 => self.fs.append(&at, old).and_then(|mut file| {
                file.write_all(&bytes)?;
                self.fs.truncate(&file, size)?;
                file.write_all(&bytes)?;
                Ok(self.fs.stat_file(&file)?.size.to_string())
            }),
            8 => self.fs.open(&at, old).and_then(|mut file| {
                // The name may go while the file is open.
                let gone = if size < 5 { self.fs.unlink(&at, old).is_ok() } else { false };
                let mut found = Vec::new();
                file.read_to_end(&mut found)?;
                Ok(format!("{gone} {found:?} {}", self.fs.stat_file(&file)?.links))
            }),
            9 => self.fs.link(&at, old, &to, new).map(|()| String::new()),
            10 => self.fs.unlink(&at, old).map(|()| String::new()),
            11 => self.fs.stat(&at, old).map(|stat| match stat.kind {
                Kind::File => format!("{} {} {:o}", stat.size, stat.links, stat.mode),
                kind => format!("{kind:?} {:o}", stat.mode),
            }),
            12 => {
                let mut found = Vec::new();
                let listed = self.fs.list(&at, &mut |name, kind, _| found.push((name.to_vec(), format!("{kind:?}"))));
                found.sort();
                listed.map(|()| format!("{found:?}"))
            }
            13 => self.rename(&at, old, &to, new, Rename::NoReplace),
            14 => self.rename(&at, old, &to, new, Rename::Exchange),
            _ => self.rename(&at, old, &to, new, Rename::Replace),
        };
        let answer = answer.map_err(|error| (error.raw_os_error(), error.kind()));
        let shown = |name: &[u8]| if name.len() > 9 { "long".to_owned() } else { name.escape_ascii().to_string() };
        format!("{what} {} {}: {answer:?}", shown(old), shown(new))
    }

    fn rename(&self, at: &F::Dir, old: &[u8], to: &F::Dir, new: &[u8], how: Rename) -> io::Result<String> {
        let before = self.fs.stat(at, old).ok().map(|stat| stat.ino);
        self.fs.rename(at, old, to, new, how)?;
        let kept = self.fs.stat(to, new)?.ino;
        Ok(format!("{}", before == Some(kept)))
    }
}

#[test]
fn the_same_calls_have_the_same_answers_as_on_the_real_disk() {
    let mut seeds = Rng::from_env_or(11);
    for _ in 0..60 {
        let seed = seeds.number();
        let (mut here, mut there) = (seeds.fork(seed), seeds.fork(seed));
        let temp = tempfile::tempdir().expect("temp");
        let mut real = Side::open(Disk, temp.path());
        let memory = Memory::with(seed, Settings { reuse: seed.is_multiple_of(2), ..Settings::default() });
        let mut model = Side::open(memory, Path::new("/"));
        let mut calls = Vec::new();
        for _ in 0..400 {
            let (expected, found) = (real.call(&mut here), model.call(&mut there));
            assert_eq!(found, expected, "in memory, and on the real disk, after {calls:#?}");
            calls.push(found);
        }
    }
}
