//! Compiles the agent (`src/agent/program`), which is part of the program as bytes.
//!
//! It has to run in an image of nothing but itself, so it is linked statically. Where that is not
//! possible (another kernel than Linux, no static C library) there is none, and envrun says so and
//! probes by commands in the containers. A packager may name one: `ENVRUN_AGENT=/path/to/program`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAM: &str = "src/agent/program/main.rs";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/agent/program");
    println!("cargo::rerun-if-changed=src/agent/wire.rs");
    println!("cargo::rerun-if-env-changed=ENVRUN_AGENT");
    let program = PathBuf::from(variable("OUT_DIR")).join("agent");
    if let Err(reason) = provide(&program) {
        println!("cargo::warning=there is no in-network agent in this build: {reason}");
        // An empty program is none.
        fs::write(&program, [])?;
    }
    println!(
        "cargo::rustc-env=ENVRUN_AGENT_PROGRAM={}",
        program.display()
    );
    println!(
        "cargo::rustc-env=ENVRUN_AGENT_ARCHITECTURE={}",
        variable("CARGO_CFG_TARGET_ARCH")
    );
    Ok(())
}

fn provide(program: &Path) -> Result<(), String> {
    if let Some(given) = env::var_os("ENVRUN_AGENT").filter(|given| !given.is_empty()) {
        let given = PathBuf::from(given);
        println!("cargo::rerun-if-changed={}", given.display());
        let copied = fs::copy(&given, program).map(drop);
        return copied.map_err(|error| format!("`{}`: {error}", given.display()));
    }
    if variable("CARGO_CFG_TARGET_OS") != "linux" {
        return Err("it runs on Linux only, name one by `ENVRUN_AGENT`".to_owned());
    }
    let mut compiler = Command::new(variable("RUSTC"));
    compiler
        .args(["--edition", "2024", "--crate-name", "envrun_agent"])
        .args(["--crate-type", "bin", "--target", &variable("TARGET")])
        .args(["-C", "target-feature=+crt-static", "-C", "opt-level=s"])
        .args([
            "-C",
            "panic=abort",
            "-C",
            "lto=fat",
            "-C",
            "codegen-units=1",
        ])
        .args(["-C", "strip=symbols", "-o"])
        .arg(program)
        .arg(PROGRAM);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = std::ffi::OsString::from("linker=");
        option.push(linker);
        compiler.arg("-C").arg(option);
    }
    let output = compiler
        .output()
        .map_err(|error| format!("cannot run the compiler: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let reason = words.lines().find(|line| line.starts_with("error"));
    Err(reason.unwrap_or("the compiler failed").to_owned())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}
