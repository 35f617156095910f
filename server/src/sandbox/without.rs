//! What tests take away of a system, to see how a process fares on one that lacks it.
//!
//! Only builds with debug assertions ask the environment; in a release it is a constant.

/// What is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Without {
    /// The whole sandbox.
    pub(super) all: bool,
    /// Landlock.
    pub(super) landlock: bool,
    /// Its right to rename between directories, as in its first version.
    pub(super) refer: bool,
    /// The list of system calls.
    pub(super) seccomp: bool,
    /// That other processes of this account may not look into this one: tests look, and need no rights of root.
    pub(super) dumps: bool,
}

impl Without {
    /// What the environment leaves out.
    #[cfg(debug_assertions)]
    pub(super) fn from_env() -> Self {
        let text = std::env::var("SMD_SANDBOX_WITHOUT").unwrap_or_default();
        let named = |name: &str| text.split(',').any(|word| word == name);
        let [all, landlock, refer, seccomp, dumps] = ["all", "landlock", "refer", "seccomp", "dumps"].map(named);
        Self { all, landlock, refer, seccomp, dumps }
    }

    /// Nothing.
    #[cfg(not(debug_assertions))]
    pub(super) const fn from_env() -> Self {
        Self { all: false, landlock: false, refer: false, seccomp: false, dumps: false }
    }
}
