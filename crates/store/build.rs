//! The migrations are compiled in, so a new one must compile the crate again.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
