//! Generates the message types from `proto/` without a system `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["command.proto", "store.proto", "raft.proto"], ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        // What few requests have: a request is moved several times on its way into an entry.
        .boxed(".tinykv.command.Request.made_for")
        .boxed(".tinykv.command.Request.origin")
        .compile_fds(files)?;
    Ok(())
}
