//! Brings back what a run deleted or replaced on this host.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::undo::main_impl(std::env::args_os())
}
