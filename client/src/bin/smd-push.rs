//! Brings what changed on this host to the server.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_client::main_impl(smd_client::Command::Push, std::env::args_os())
}
