//! The far end of a synchronisation for a key that can do nothing else, started by ssh.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_server::shell::main_impl()
}
