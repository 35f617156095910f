//! Keeps endpoints equal all the time.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_client::looping::main_impl(std::env::args_os())
}
