//! Both directions in one session.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_client::main_impl(smd_client::Command::Sync, std::env::args_os())
}
