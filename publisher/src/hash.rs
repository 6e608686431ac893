//! Hashes by which texts are told apart: of bodies, definitions and triggers.

use xxhash_rust::xxh3::xxh3_128;

/// XXH3, 128 bits: 32 hexadecimal digits.
pub(crate) fn hash(bytes: impl AsRef<[u8]>) -> String {
    format!("{:032x}", xxh3_128(bytes.as_ref()))
}
