//! Whether a shared library can be opened, for bindings that panic when it cannot.

/// Whether the system finds a shared library of this file name and can open it. It stays as it was: opened libraries
/// are closed again.
pub fn shared_library_opens(file: &str) -> bool {
    // SAFETY: opening a library runs its initialisers, closing it what it has left for the end. The names that are
    // asked for are those of the drivers and mathematics of graphics cards, made to be opened by any program at any
    // time from any thread, and nothing of them is in use while this asks.
    unsafe { libloading::Library::new(file) }.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_does_not_open() {
        assert!(!shared_library_opens("liblongtrainer-is-nowhere.so.0"));
        assert!(!shared_library_opens(""));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_there_opens() {
        assert!(shared_library_opens("libm.so.6"));
    }
}
