//! Prints what changed in Maildirs since a snapshot.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::mddiff::main_impl(std::env::args_os())
}
