//! Shows which messages here have another name on the server, and renames them if asked.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::uniform_names::main_impl(std::env::args_os())
}
