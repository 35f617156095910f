//! Compares what two hosts hold, and changes nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::verify::main_impl(std::env::args_os())
}
