//! The function library that guards every write.

/// `VERSION` in it stands for [`VERSION`].
const SOURCE: &str = include_str!("functions.lua");

/// Checksum of the source (FNV-1a). It is part of the names, so a changed function is never mistaken for the one that an
/// older pubsync has loaded, and two of them do not load over each other for the time of a rollout.
const VERSION: u32 = {
    let (bytes, mut hash, mut at) = (SOURCE.as_bytes(), 0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
};

/// The library as `FUNCTION LOAD` takes it.
pub fn library() -> String {
    SOURCE.replace("VERSION", &version())
}

/// KEYS: key, tombstone, … ARGV: equal (0 or 1), then revision, document, …
pub fn put() -> String {
    format!("pubsync_put_{}", version())
}

/// KEYS: key, tombstone, … ARGV: equal (0 or 1), seconds that a tombstone lives, then revision, …
pub fn delete() -> String {
    format!("pubsync_delete_{}", version())
}

/// KEYS: the mark. ARGV: lowest and highest mark that may be there, the new one.
pub fn mark() -> String {
    format!("pubsync_mark_{}", version())
}

fn version() -> String {
    format!("{VERSION:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_registers_the_functions_that_are_called() {
        let library = library();
        assert!(library.starts_with(&format!("#!lua name=pubsync_{}\n", version())));
        for function in [put(), delete(), mark()] {
            assert!(library.contains(&format!("'{function}'")), "{function}");
        }
        assert!(!library.contains("VERSION"));
    }
}
