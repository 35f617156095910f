//! Translates folder names by the rules that are built in.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::translate::main_impl(std::env::args_os())
}
