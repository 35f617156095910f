//! Shows what a config means on both hosts, and changes nothing.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::check_conf::main_impl(std::env::args_os())
}
