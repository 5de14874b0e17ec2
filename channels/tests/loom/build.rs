//! Has the crate take loom's locks: see `sync.rs`.

fn main() {
    println!("cargo::rustc-cfg=sansocket_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
