//! The page is embedded if it has been built; Cargo has to look again when it appears or changes.

fn main() {
    println!("cargo::rerun-if-changed=../../web-demo/dist");
}
