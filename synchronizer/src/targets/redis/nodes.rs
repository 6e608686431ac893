//! The primaries of a cluster, and what tells one distribution of its slots from another.

use std::collections::BTreeMap;

use ::redis::Value;

/// A primary that has slots; a single server is one without address and slots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Primary {
    /// `host:port`, as the cluster tells it to clients.
    pub address: String,
    /// From and to, both included, in order.
    pub slots: Vec<(u16, u16)>,
}

impl Primary {
    /// A slot that it has, to know it by: one of those that were chosen before, as long as it keeps it, else its last one
    /// (slots are usually moved from the first one on).
    pub fn slot(&self, chosen: impl Iterator<Item = u16>) -> Option<u16> {
        let has = |slot: &u16| self.slots.iter().any(|(from, to)| (from..=to).contains(&slot));
        let last = self.slots.last().map(|(_, to)| *to);
        chosen.filter(has).max().or(last)
    }
}

/// From the answer of CLUSTER SLOTS, by address. A primary that is down stands there too: without its keys a scan would not
/// be whole. `None` where the answer is not understood, or does not say where a node is.
pub fn primaries(answer: &Value) -> Option<Vec<Primary>> {
    let Value::Array(ranges) = answer else {
        return None;
    };
    let mut slots: BTreeMap<String, Vec<(u16, u16)>> = BTreeMap::new();
    for range in ranges {
        // From, to, the primary, its replicas.
        let Value::Array(range) = range else {
            return None;
        };
        let [Value::Int(from), Value::Int(to), Value::Array(primary), ..] = &range[..] else {
            return None;
        };
        let [host, Value::Int(port), ..] = &primary[..] else {
            return None;
        };
        let host = match host {
            Value::BulkString(host) => String::from_utf8_lossy(host),
            Value::SimpleString(host) => host.into(),
            _ => return None,
        };
        if host.is_empty() || host == "?" {
            return None;
        }
        let range = (u16::try_from(*from).ok()?, u16::try_from(*to).ok()?);
        slots.entry(format!("{host}:{port}")).or_default().push(range);
    }
    let primary = |(address, mut slots): (String, Vec<(u16, u16)>)| {
        slots.sort_unstable();
        Primary { address, slots }
    };
    Some(slots.into_iter().map(primary).collect())
}

/// The same as long as every slot stays where it is: a short text without blanks (FNV-1a).
pub fn distribution(primaries: &[Primary]) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for primary in primaries {
        add(primary.address.as_bytes());
        for (from, to) in &primary.slots {
            add(&from.to_be_bytes());
            add(&to.to_be_bytes());
        }
        add(&[0xff]);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &str) -> Value {
        ::redis::parse_redis_value(lines.replace(' ', "\r\n").as_bytes()).unwrap()
    }

    /// Two ranges of one primary, a replica, a primary in the newer form with a name behind.
    const SLOTS: &str = "*3 *4 :200 :300 *2 $8 10.0.0.1 :6379 *2 $8 10.0.0.3 :6379 \
                         *3 :101 :199 *4 $8 10.0.0.2 :6379 $1 b *0 \
                         *3 :0 :100 *2 $8 10.0.0.1 :6379 ";

    #[test]
    fn primaries_are_those_with_slots() {
        let primary = |address: &str, slots: &[(u16, u16)]| Primary {
            address: address.to_owned(),
            slots: slots.to_vec(),
        };
        let found = primaries(&answer(SLOTS)).unwrap();
        assert_eq!(
            found,
            [
                primary("10.0.0.1:6379", &[(0, 100), (200, 300)]),
                primary("10.0.0.2:6379", &[(101, 199)])
            ]
        );
        for (chosen, slot) in [
            (vec![], 300),
            (vec![7, 150], 7),
            (vec![7, 250], 250),
            (vec![150], 300),
        ] {
            assert_eq!(found[0].slot(chosen.into_iter()), Some(slot));
        }
        assert_eq!(Primary::default().slot([7].into_iter()), None);
        assert_eq!(
            primaries(&answer("*1 *3 :0 :9 *2 $-1 :6379 ")),
            None,
            "no address"
        );
        assert_eq!(primaries(&answer("+OK ")), None);
    }

    #[test]
    fn a_slot_that_moves_is_another_distribution() {
        let before = primaries(&answer(SLOTS)).unwrap();
        let same = distribution(&before);
        assert_eq!(distribution(&before.clone()), same);
        let mut after = before.clone();
        (after[0].slots[0].1, after[1].slots[0].0) = (99, 100);
        assert_ne!(distribution(&after), same);
        let mut after = before;
        after[1].address = "10.0.0.4:6379".to_owned();
        assert_ne!(distribution(&after), same);
    }
}
