//! How a Redis shows that it has lost something. On each primary stands a mark, a moment that a look replaces by a later one:
//! a primary that holds an older one went back to a copy, one that holds none is empty. One that holds the newest and was
//! started again, or has another replication history, may still lack what came after it.

use std::collections::BTreeMap;

use ::redis::from_redis_value;
use pubsync_schema::health::Look;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::functions;
use super::keys::Keys;
use super::nodes::Primary;
use crate::target::{Found, Loss, Seen, TargetError};

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    /// Tells the marks of several installations apart that write to one Redis.
    installation: String,
    /// By a slot that the primary has; a single server has none.
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    life: Option<String>,
    /// `None`: it lost it, and gets one whatever it holds.
    mark: Option<i64>,
}

/// Looks at every primary. One request for a single server.
pub async fn look(client: &Client, keys: &Keys, look: &Look) -> Result<Seen, TargetError> {
    let known = match look.state.as_str() {
        "" => State {
            installation: format!("{:x}", look.mark),
            ..State::default()
        },
        state => serde_json::from_str(state)
            .map_err(|error| client.refused(format!("the state of the last look cannot be read: {error}")))?,
    };
    let mut state = State {
        installation: known.installation,
        nodes: BTreeMap::new(),
    };
    let mut found = Vec::new();
    let primaries = match keys.have_one_slot() && client.is_cluster() {
        // Whoever has the slot; which life it has is not asked.
        true => vec![Primary::default()],
        false => client.primaries().await?,
    };
    for primary in primaries {
        let slot = primary.slot(known.nodes.keys().filter_map(|slot| slot.parse().ok()));
        let name = slot.map(|slot| slot.to_string()).unwrap_or_default();
        let before = known.nodes.get(&name).cloned().unwrap_or_default();
        let mut call = ::redis::cmd("FCALL");
        call.arg(functions::mark())
            .arg(1)
            .arg(keys.mark(&state.installation, slot))
            .arg(before.mark.map(|mark| mark.to_string()).unwrap_or_default())
            .arg(look.highest)
            .arg(look.mark);
        let (life, answer) = client.identify(&primary.address, call).await?;
        let held: Option<String> =
            from_redis_value(answer).map_err(|error| client.down(format!("an unexpected mark: {error}")))?;
        let held = held.and_then(|held| held.parse().ok());
        let loss = judge(&before, held, life.as_deref(), look.highest);
        // What was found is in the state: the next look must not find it again, and gives a mark to whom it was found of.
        let mark = loss.is_none().then_some(look.mark);
        found.extend(loss);
        state.nodes.insert(name, Node { life, mark });
    }
    let state = serde_json::to_string(&state).map_err(|error| client.refused(error.to_string()))?;
    Ok(Seen { state, found })
}

/// What a primary has lost that holds this mark.
fn judge(before: &Node, held: Option<i64>, life: Option<&str>, highest: i64) -> Option<Found> {
    let known = before.mark?;
    let found = |loss, why: &str| {
        Some(Found {
            loss,
            why: why.to_owned(),
        })
    };
    let Some(held) = held else {
        return found(
            Loss::Everything,
            "its mark is gone: it was flushed, or started empty",
        );
    };
    if held < known {
        return found(
            Loss::After(held),
            "it holds an older mark: it went back to an older copy",
        );
    }
    if held > highest {
        return found(
            Loss::Everything,
            "it holds a mark that the database does not know: the database was restored",
        );
    }
    match (&before.life, life) {
        (Some(before), Some(life)) if before != life => found(
            Loss::After(known),
            "it was started again, or another one took its place",
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_how_far_it_went_back() {
        let before = Node {
            life: Some("a".to_owned()),
            mark: Some(20),
        };
        let loss = |held, life| judge(&before, held, life, 30).map(|found| found.loss);
        assert_eq!(loss(Some(20), Some("a")), None);
        // The look that wrote it died before it could note that.
        assert_eq!(loss(Some(30), Some("a")), None);
        assert_eq!(loss(Some(20), None), None, "we may not ask");
        assert_eq!(loss(None, Some("a")), Some(Loss::Everything));
        assert_eq!(loss(Some(10), Some("b")), Some(Loss::After(10)));
        assert_eq!(loss(Some(31), Some("a")), Some(Loss::Everything));
        // What came after the mark that is known for sure.
        assert_eq!(loss(Some(30), Some("b")), Some(Loss::After(20)));
        assert_eq!(
            judge(&Node::default(), None, Some("a"), 30),
            None,
            "never looked at"
        );
    }
}
