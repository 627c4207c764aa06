//! The `envrun` binary: a thin door to the library.

fn main() -> std::process::ExitCode {
    envrun::command::main().into()
}
