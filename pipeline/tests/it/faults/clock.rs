//! Processes that live in another time: libfaketime, where it is installed (Debian: faketime). Time-outs go by the monotonic clock, which is left alone.

const LIBRARIES: &[&str] =
    &["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];

pub fn library() -> Option<&'static str> {
    LIBRARIES.iter().copied().find(|path| std::path::Path::new(path).exists())
}

/// Environment of a process whose clock is off by this much, such as `+1h`.
pub fn shifted(by: &str) -> Vec<(&str, &str)> {
    let library = library().expect("the caller looked");
    vec![("LD_PRELOAD", library), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
}
