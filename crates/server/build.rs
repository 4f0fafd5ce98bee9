//! The page is embedded if it has been built; Cargo has to look again when it appears or changes.

#[expect(clippy::print_stdout, reason = "this is how a build script talks to Cargo")]
fn main() {
    println!("cargo::rerun-if-changed=../../web-demo/dist");
}
