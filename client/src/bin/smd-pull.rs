//! Brings what changed at the server to this host.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_client::main_impl(smd_client::Command::Pull, std::env::args_os())
}
