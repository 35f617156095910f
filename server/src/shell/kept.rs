//! Places that are no roots of a restricted key, beside those that are none of anybody's: where programs look for what they run
//! or trust, and where a web server shows what lies there.
//!
//! A restricted key is for mail. What is written into one of these would be more than that, even if it were a message.
//! docs/SECURITY.md has the list for the owner.

use std::path::{Path, PathBuf};

use smd_maildir::roots::Judge;

use super::Unfit;

/// Directories of the home directory.
#[rustfmt::skip]
pub(super) const AT_HOME: &[&str] = &[
    // Keys, and what opens other accounts.
    ".ssh", ".gnupg", ".pki", ".aws", ".azure", ".docker", ".kube", ".password-store",
    // What most programs look for.
    ".config", ".local", ".cache", ".var",
    // Shells.
    ".bash.d", ".bashrc.d", ".bash_completion.d", ".profile.d", ".zsh", ".zsh.d", ".zshrc.d", ".zfunc", ".oh-my-zsh", ".fish",
    ".tmux", ".screen", ".byobu",
    // Editors.
    ".vim", ".nvim", ".emacs.d", ".xemacs", ".doom.d", ".spacemacs.d", ".elisp", ".nano", ".joe", ".jed", ".kak", ".vscode",
    ".vscode-server", ".cursor", ".atom", ".idea",
    // Mail programs and filters.
    ".mutt", ".neomutt", ".procmail", ".sieve", "sieve", ".notmuch", ".mail.d", ".offlineimap", ".mozilla", ".thunderbird",
    // Languages and their tools.
    ".git", ".githooks", ".hg", ".cargo", ".rustup", ".npm", ".node_modules", "node_modules", ".nvm", ".pyenv", ".virtualenvs",
    ".ipython", ".jupyter", ".gem", ".rbenv", ".cpan", ".cpanm", "perl5", ".m2", ".gradle", ".sbt", ".ghc", ".stack", ".cabal",
    ".opam", ".julia", ".guile.d", ".octave", ".gdb.d", ".gdbinit.d", "go",
    // Desktops.
    ".gnome", ".gnome2", ".kde", ".kde4", ".xmonad", ".i3", ".fluxbox", ".icewm", ".vnc", ".fonts", ".themes", ".icons", ".wine",
    ".java", ".terminfo",
    // Programs, and what a web server shows.
    "bin", ".bin", "sbin", "lib", "public_html", "public_gemini", "public_gopher", "www", "htdocs", "cgi-bin",
];

/// Directories of the system.
#[rustfmt::skip]
pub(super) const OF_SYSTEM: &[&str] = &[
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/var/spool/at", "/var/spool/cron", "/var/www",
    "/srv/www", "/srv/http",
];

/// A judge who keeps roots from all of these.
pub(super) fn judge(places: &crate::roots::Places) -> Result<Judge, Unfit> {
    let all = AT_HOME.iter().map(|name| places.user.join(name)).chain(OF_SYSTEM.iter().map(PathBuf::from));
    Judge::new(places)
        .and_then(|judge| judge.keeping(all))
        .map_err(|error| Unfit::io(format!("it cannot be told which directories are no roots: {error}")))
}

/// Why a directory below the home directory is hidden: programs keep their own there. Mail lies in some all the same.
pub(super) fn is_hidden(below_home: &Path) -> bool {
    let first = below_home.components().next();
    let name = first.map(|first| first.as_os_str().as_encoded_bytes().to_ascii_lowercase()).unwrap_or_default();
    name.starts_with(b".") && !name.windows(4).any(|part| part == b"mail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_can_read_which_places_are_no_roots() {
        let page = include_str!("../../../docs/SECURITY.md");
        for name in AT_HOME.iter().chain(OF_SYSTEM) {
            assert!(page.contains(&format!("`{name}`")), "docs/SECURITY.md lacks {name}");
        }
    }

    #[test]
    fn hidden_directories_are_no_mail_but_by_their_name() {
        for (path, hidden) in [
            (".x", true),
            (".x/Maildir", true),
            (".maildir", false),
            (".Mail/x", false),
            ("Maildir/.Sub", false),
            ("", false),
        ] {
            assert_eq!(is_hidden(Path::new(path)), hidden, "{path}");
        }
    }
}
