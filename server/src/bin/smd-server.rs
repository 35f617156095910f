//! The far end of a synchronisation, started by ssh.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_server::main_impl()
}
