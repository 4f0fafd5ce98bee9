//! The demo page is embedded if it has been built. Cargo must rebuild this crate when the page appears or
//! changes.

fn main() {
    println!("cargo::rerun-if-changed=../../web-demo/dist");
}
