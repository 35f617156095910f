//! Files that lie under the uniq and the inode number of another one that is gone. A quick scan believes a known name with
//! its recorded inode, as it believes one whose bytes were edited in place; a deeper scan finds both.
//!
//! Deliberately not here: when inode numbers are used again (`crate::memory`).

use std::collections::BTreeMap;

use super::super::host::Host;
use super::super::mail::{self, Bytes};

/// Folder, uniq and inode.
type Spot = (String, String, u64);

/// What was met on one host.
#[derive(Clone, Default)]
pub(super) struct Met(BTreeMap<Spot, Bytes>);

impl Met {
    /// Takes in what is there now. Whether something met before has other bytes now.
    pub(super) fn meet(&mut self, host: &Host) -> bool {
        let mut other = false;
        for mail in mail::mails(host) {
            let Ok(stat) = host.disk.by_hand().stat(mail.path()) else { continue };
            let spot = (mail.folder.clone(), mail.uniq().to_owned(), stat.ino);
            other |= self.0.insert(spot, mail.bytes.clone()).is_some_and(|before| before != mail.bytes);
        }
        other
    }
}
