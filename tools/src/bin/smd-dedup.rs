//! Finds and buries messages that are twice in their folder.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::dedup::main_impl(std::env::args_os())
}
