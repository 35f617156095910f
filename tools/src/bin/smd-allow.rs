//! Lets a restricted key remove more than its budget, for a while.

use std::process::ExitCode;

fn main() -> ExitCode {
    smd_tools::allow::main_impl(std::env::args_os())
}
