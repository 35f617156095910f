//! Exit codes: an API for scripts, timers and tests.
//!
//! Deliberately not here: which error has which code; [`crate::error`] decides that.

use std::process::ExitCode;

/// How a run ended, as the shell sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Exit {
    /// Everything the direction asks for is done and durable on both hosts.
    Ok = 0,
    /// Partly done: some messages or folders were left as they were, or a post hook failed. Run again.
    Partly = 1,
    /// Invalid command line; nothing was looked at.
    Usage = 2,
    /// A guard held steps back; a person must say whether they were meant.
    Guard = 3,
    /// The other host cannot be reached, or the connection was lost. Try again later.
    Network = 69,
    /// A fault of these programs. Please report it.
    Bug = 70,
    /// Reading or writing failed on one of the hosts: a mailbox root, the state, or a program to start or keep running.
    Io = 74,
    /// Another run holds the lock. Try again later.
    Locked = 75,
    /// The other end does not speak our language: another program, another version, noise, silence, or a server that ends
    /// by itself before it speaks.
    Protocol = 76,
    /// Refused: ssh authentication, a host key, the server's policy, or a pre hook.
    Refused = 77,
    /// The config file, or a mailbox that it names, has an error; or the other host has no server program.
    Config = 78,
    /// Stopped by an interrupt (SIGINT).
    Interrupted = 130,
    /// Stopped by a request to terminate (SIGTERM).
    Terminated = 143,
}

impl Exit {
    /// Every code, in ascending order.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Partly,
        Self::Usage,
        Self::Guard,
        Self::Network,
        Self::Bug,
        Self::Io,
        Self::Locked,
        Self::Protocol,
        Self::Refused,
        Self::Config,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number that the shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// One sentence on the meaning.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Ok => "Everything is done and durable on both hosts.",
            Self::Partly => "Some messages were left as they were, or a post hook failed; run again.",
            Self::Usage => "Invalid command line.",
            Self::Guard => "A guard held steps back; say whether they were meant.",
            Self::Network => "The other host cannot be reached or was lost; try again.",
            Self::Bug => "A bug in these programs; please report it.",
            Self::Io => "Reading or writing failed on one of the hosts.",
            Self::Locked => "Another run holds the lock; try again.",
            Self::Protocol => "The other end does not speak the protocol of these programs.",
            Self::Refused => "Authentication, host key, policy or a pre hook refused it.",
            Self::Config => {
                "The config file, or a mailbox that it names, has an error; or the other host could not find the server program."
            }
            Self::Interrupted => "Stopped by an interrupt.",
            Self::Terminated => "Stopped by a request to terminate.",
        }
    }

    /// Whether the same command may succeed later without a person doing anything.
    pub const fn try_again(self) -> bool {
        matches!(self, Self::Partly | Self::Network | Self::Locked)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_ascending() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 69, 70, 74, 75, 76, 77, 78, 130, 143]);
    }

    #[test]
    fn only_passing_troubles_are_worth_another_try() {
        let again: Vec<u8> = Exit::ALL.iter().filter(|exit| exit.try_again()).map(|exit| exit.code()).collect();
        assert_eq!(again, [1, 69, 75]);
    }
}
