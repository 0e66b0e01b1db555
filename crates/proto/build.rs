//! Compiles the wire descriptions without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let files = ["gateway", "configuration", "usage"].map(|name| format!("{root}/tollgate/v1/{name}.proto"));
    let descriptors = protox::compile(files, [root])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
