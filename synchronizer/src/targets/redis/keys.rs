//! How keys stand in Redis: the prefix before them, and for each a tombstone key in the same cluster slot, so that one
//! function call may touch both.

/// Opens every tombstone key, after the prefix.
const TOMBSTONE: &str = "t:{";

/// Slots of a Redis cluster.
const SLOTS: u16 = 16384;

pub struct Keys {
    prefix: String,
    /// The prefix is a hash tag itself (`{shop}:`): all keys have one slot.
    tagged: bool,
}

impl Keys {
    /// Refuses a prefix with an opening brace that makes no hash tag: it would swallow the tag of the tombstone.
    pub fn new(prefix: &str) -> Result<Self, &'static str> {
        let tagged = tag(prefix).is_some();
        if prefix.contains('{') && !tagged {
            return Err("the prefix holds an opening brace that makes no hash tag");
        }
        Ok(Self {
            prefix: prefix.to_owned(),
            tagged,
        })
    }

    pub fn have_one_slot(&self) -> bool {
        self.tagged
    }

    pub fn stored(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key of a stored name; `None` for names of others and for tombstones.
    pub fn key<'a>(&self, stored: &'a str) -> Option<&'a str> {
        stored
            .strip_prefix(&self.prefix)
            .filter(|key| !Self::reserved(key))
    }

    /// Keys that would stand among the tombstones.
    pub fn reserved(key: &str) -> bool {
        key.starts_with(TOMBSTONE)
    }

    /// `t:{<key>}`, and where the key has braces of its own: its hash tag, or else any tag of its slot, with the key
    /// behind it. Different keys never share one: behind the first `}` stands nothing, or the key.
    pub fn tombstone(&self, key: &str) -> String {
        let Self { prefix, tagged } = self;
        let stored = self.stored(key);
        if *tagged {
            return format!("{prefix}{TOMBSTONE}{key}}}");
        }
        match tag(&stored) {
            Some(own) => format!("{prefix}{TOMBSTONE}{own}}}{stored}"),
            None if !stored.contains('}') => format!("{prefix}{TOMBSTONE}{stored}}}"),
            None => format!("{prefix}{TOMBSTONE}{}}}{stored}", tag_of_slot(slot(&stored))),
        }
    }

    /// The mark of an installation; `slot`: in this slot of a cluster. No tombstone is called so: behind their braces
    /// stands something, or nothing behind the last one.
    pub fn mark(&self, installation: &str, slot: Option<u16>) -> String {
        let name = format!("{}{TOMBSTONE}}}mark:{installation}", self.prefix);
        match slot {
            Some(wanted) if !self.tagged => number_in_slot(wanted, |number| format!("{name}:{number}")),
            _ => name,
        }
    }

    /// A glob for SCAN that finds the stored names that begin with prefix and `literal`.
    pub fn glob(&self, literal: &str) -> String {
        let mut glob = String::with_capacity(self.prefix.len() + literal.len() + 1);
        for c in self.prefix.chars().chain(literal.chars()) {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^') {
                glob.push('\\');
            }
            glob.push(c);
        }
        glob.push('*');
        glob
    }
}

/// The cluster slot of a stored name.
pub fn slot(stored: &str) -> u16 {
    crc16(tag(stored).unwrap_or(stored).as_bytes()) % SLOTS
}

/// The part between the first `{` and the next `}`, unless empty: Redis hashes it alone.
fn tag(stored: &str) -> Option<&str> {
    let (_, rest) = stored.split_once('{')?;
    let (tag, _) = rest.split_once('}')?;
    (!tag.is_empty()).then_some(tag)
}

/// Some tag that hashes to the slot. Only keys with unpaired braces in their template come here.
fn tag_of_slot(wanted: u16) -> String {
    number_in_slot(wanted, |number| number.to_string())
}

/// A name with a number in it that hashes to the slot: tries about 16,000 numbers, a millisecond.
fn number_in_slot(wanted: u16, name: impl Fn(u32) -> String) -> String {
    let mut number = 0u32;
    loop {
        let name = name(number);
        if crc16(name.as_bytes()) % SLOTS == wanted {
            return name;
        }
        number += 1;
    }
}

/// CRC16/XMODEM, as the cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    for byte in bytes {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 9] = [
        "product:1",
        "{product}:1",
        "{{product}:1",
        "a}b",
        "a}b{c}",
        "{}a",
        "{a",
        "é:1",
        "t:1",
    ];

    #[test]
    fn the_checksum_is_that_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("{foo}bar"), 12182);
    }

    #[test]
    fn a_tombstone_has_the_slot_of_its_key_and_no_other_key() {
        for prefix in ["", "kv:", "{shop}:", "a}", "x{y}z"] {
            let keys = Keys::new(prefix).unwrap();
            let mut seen = std::collections::HashSet::new();
            for key in KEYS {
                let (stored, tombstone) = (keys.stored(key), keys.tombstone(key));
                assert_eq!(slot(&stored), slot(&tombstone), "{stored} {tombstone}");
                assert!(seen.insert(tombstone.clone()), "{tombstone}");
                assert_eq!(keys.key(&stored), Some(key));
                assert_eq!(keys.key(&tombstone), None);
            }
        }
        assert_eq!(
            Keys::new("kv:").unwrap().tombstone("product:1"),
            "kv:t:{kv:product:1}"
        );
    }

    #[test]
    fn a_mark_has_the_slot_that_is_wanted_and_is_no_document() {
        for prefix in ["", "kv:", "{shop}:", "a}"] {
            let keys = Keys::new(prefix).unwrap();
            for wanted in [None, Some(0), Some(16383)] {
                let mark = keys.mark("5f3a", wanted);
                assert_eq!(keys.key(&mark), None, "{mark}");
                if let (Some(wanted), None) = (wanted, tag(prefix)) {
                    assert_eq!(slot(&mark), wanted, "{mark}");
                }
            }
        }
        assert_eq!(Keys::new("kv:").unwrap().mark("5f3a", None), "kv:t:{}mark:5f3a");
    }

    #[test]
    fn a_prefix_that_breaks_hash_tags_is_refused() {
        for prefix in ["{", "{}", "a{b", "a}{"] {
            assert!(Keys::new(prefix).is_err(), "{prefix}");
        }
    }

    #[test]
    fn globs_are_escaped() {
        assert_eq!(Keys::new("a*").unwrap().glob("p[1]?\\"), "a\\*p\\[1\\]\\?\\\\*");
    }
}
