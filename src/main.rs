//! The `sekisho` command: see [`sekisho::cli`].

use std::process::ExitCode;

/// Many short-lived buffers of the same few sizes on every worker: jemalloc keeps memory flat where glibc's arenas
/// grow.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    sekisho::cli::run_command()
}
