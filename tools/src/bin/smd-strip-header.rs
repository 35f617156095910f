//! Removes header fields from the messages of a Maildir.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::strip_header::main_impl(std::env::args_os())
}
