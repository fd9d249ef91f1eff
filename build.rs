//! Owns: how the program is linked, so that it starts fast. A command lives for two milliseconds.
//! Never: anything that it needs to work: whatever is not there is left out.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "cargo's interface"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is =
        |part: &str, value: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).is_ok_and(|is| is == value);
    let is_native = env::var("HOST").ok() == env::var("TARGET").ok();
    if !(is_native && is("OS", "linux") && is("ARCH", "x86_64") && is("ENV", "gnu")) {
        return;
    }
    // The addresses of a program that is loaded anywhere: 4 kB to read in place of 345 kB.
    if glibc().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    if let Some(archive) = libgcc_eh()
        && link_statically(&out, &archive)
    {
        println!("cargo:rustc-link-arg-bins=-L{}", out.display());
    }
}

/// The glibc that reads packed relocations. The linker notes in the program that an older one will not do.
const PACKED_SINCE: (u32, u32) = (2, 36);

/// Returns the version of glibc.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

/// Returns the archive of the unwinder that prints backtraces.
fn libgcc_eh() -> Option<PathBuf> {
    let said = Command::new("cc").arg("-print-file-name=libgcc_eh.a").output().ok()?;
    let path = PathBuf::from(String::from_utf8(said.stdout).ok()?.trim());
    // A compiler that has none answers with the bare name.
    Some(path).filter(|path| path.is_absolute() && path.exists())
}

/// Makes `-lgcc_s` mean that archive: the standard library asks for the shared library by name, and finding,
/// mapping and relocating that at each start costs more than the unwinder's few functions.
fn link_statically(out: &Path, archive: &Path) -> bool {
    fs::write(out.join("libgcc_s.so"), format!("INPUT(\"{}\" -lgcc)\n", archive.display())).is_ok()
}
