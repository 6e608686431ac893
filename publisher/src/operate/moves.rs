//! What a declaration that says something else of a target means for its indexes. Pure.

use pubsync_schema::shape::Collection;
use pubsync_schema::writeset::WriteSet;
use pubsync_synchronizer::target::Target;
use serde_json::Value;

/// What becomes of a document at one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// It stands as it is wanted, or is on its way to it.
    Nothing,
    /// Another filter, another key, further fields: the same place.
    InPlace,
    /// A new index is filled, and takes the place of the one that serves.
    NewIndex,
    /// The one that serves is wanted again; the one that was being filled goes.
    Back,
    /// It was being taken away, or has been: a new place, as for a document that never was there.
    Anew,
}

/// Compares what is wanted with what is written.
pub fn compare(set: &WriteSet, wanted: &Collection, target: Option<&dyn Target>) -> Move {
    if set.removal.is_some() {
        return Move::Anew;
    }
    let newest = set
        .filling
        .as_ref()
        .map_or(&set.serving, |filling| &filling.collection);
    if same(newest, wanted) {
        return Move::Nothing;
    }
    let typed = target.is_some_and(|target| target.has_mapping());
    match &set.filling {
        Some(_) if same(&set.serving, wanted) => Move::Back,
        None if !typed || fits(&set.serving, wanted) => Move::InPlace,
        _ => Move::NewIndex,
    }
}

/// This set with the move begun; `number` is higher than that of any index before, `run` fills the new one.
pub fn begun(set: &WriteSet, wanted: &Collection, kind: &Move, number: i64, run: Option<i64>) -> WriteSet {
    let mut next = set.clone();
    match (kind, run) {
        (Move::Nothing, _) => {}
        (Move::InPlace, _) => {
            next.serving = Collection {
                number: set.serving.number,
                derived: union(&set.serving.derived, &wanted.derived),
                ..wanted.clone()
            };
        }
        (Move::NewIndex, Some(run)) => {
            let collection = filling(wanted, number);
            let old = next
                .filling
                .replace(pubsync_schema::writeset::Filling { collection, run });
            next.retired.extend(old.map(|old| old.collection));
        }
        (Move::Anew, _) => {
            // With a number of its own: whoever still takes the old place away does not find the new one.
            next = WriteSet {
                generation: set.generation,
                retired: set.collections().cloned().collect(),
                ..WriteSet::new(&set.document, &set.target, anew(wanted, number))
            };
        }
        (Move::Back | Move::NewIndex, _) => {
            next.retired.extend(next.filling.take().map(|old| old.collection))
        }
    }
    next
}

fn anew(wanted: &Collection, number: i64) -> Collection {
    Collection {
        number,
        ..wanted.clone()
    }
}

/// The collection that takes this number while it is filled.
pub fn filling(wanted: &Collection, number: i64) -> Collection {
    Collection {
        number,
        filling: true,
        ..wanted.clone()
    }
}

/// Whatever their numbers. Fields that are wanted no more may stand.
fn same(stands: &Collection, wanted: &Collection) -> bool {
    let alike = Collection {
        number: wanted.number,
        filling: wanted.filling,
        derived: wanted.derived.clone(),
        ..stands.clone()
    };
    alike == *wanted && union(&stands.derived, &wanted.derived) == stands.derived
}

/// Whether what is wanted can be had in the index that stands. New fields can: a document gets a new body with a new
/// member, and is indexed again. All else would leave older documents as they were indexed before.
fn fits(stands: &Collection, wanted: &Collection) -> bool {
    let by_key = stands.index.fixed().is_none() || stands.routing.is_some();
    stands.index == wanted.index
        && stands.routing == wanted.routing
        && stands.settings == wanted.settings
        && stands.mapping == wanted.mapping
        && (stands.key == wanted.key || !by_key)
        && extends(&stands.derived, &wanted.derived)
}

/// Whether `new` says of each field that both have the same as `old`.
fn extends(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return old == new;
    };
    old.iter().all(|(name, old)| match new.get(name) {
        None => true,
        Some(new) if old.get("properties").is_some() && new.get("properties").is_some() => {
            extends(&old["properties"], &new["properties"])
        }
        Some(new) => old == new,
    })
}

/// The fields of both; those of `new` where both have one.
fn union(old: &Value, new: &Value) -> Value {
    let (Some(olds), Some(news)) = (old.as_object(), new.as_object()) else {
        return new.clone();
    };
    let mut all = olds.clone();
    for (name, new) in news {
        let joined = match all.get(name) {
            Some(old) if old.get("properties").is_some() && new.get("properties").is_some() => {
                serde_json::json!({ "properties": union(&old["properties"], &new["properties"]) })
            }
            _ => new.clone(),
        };
        all.insert(name.clone(), joined);
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use pubsync_schema::shape::{KeyPart, KeyPattern, Only, Template};
    use pubsync_schema::writeset::Step;
    use pubsync_synchronizer::targets::local::LocalTarget;
    use pubsync_synchronizer::targets::opensearch::OpenSearchTarget;
    use serde_json::json;

    use super::*;

    fn collection(derived: Value) -> Collection {
        let key = KeyPattern(vec![
            KeyPart::Literal("d:".to_owned()),
            KeyPart::Value("root.id".to_owned()),
        ]);
        Collection {
            derived,
            ..Collection::new("d", key)
        }
    }

    fn search() -> OpenSearchTarget {
        OpenSearchTarget::new("search", &"http://localhost:1".into(), "").unwrap()
    }

    #[test]
    fn new_fields_stay_in_place_and_all_else_takes_a_new_index() {
        let stands = collection(
            json!({ "a": { "type": "long" }, "b": { "properties": { "c": { "type": "text" } } } }),
        );
        let set = WriteSet::new("d", "search", stands.clone());
        let became = |edit: &dyn Fn(&mut Collection)| {
            let mut wanted = stands.clone();
            edit(&mut wanted);
            compare(&set, &wanted, Some(&search()))
        };
        assert_eq!(became(&|_| {}), Move::Nothing);
        assert_eq!(
            became(&|c| c.derived = json!({ "a": { "type": "long" } })),
            Move::Nothing
        );
        assert_eq!(
            became(&|c| c.derived["b"]["properties"]["d"] = json!({ "type": "long" })),
            Move::InPlace
        );
        assert_eq!(
            became(&|c| c.only = Only([("root.id".to_owned(), ["1".to_owned()].into())].into())),
            Move::InPlace
        );
        assert_eq!(
            became(&|c| c.key.0.push(KeyPart::Literal(":x".to_owned()))),
            Move::InPlace
        );
        let new: [&dyn Fn(&mut Collection); 6] = [
            &|c| c.derived["a"] = json!({ "type": "double" }),
            &|c| c.derived["b"]["properties"]["c"] = json!({ "type": "keyword" }),
            &|c| c.settings = json!({ "number_of_shards": 2 }),
            &|c| c.mapping = json!({ "properties": { "a": { "index": false } } }),
            &|c| c.index = Template::text("e"),
            &|c| c.routing = Some(Template(vec![KeyPart::Value("root.id".to_owned())])),
        ];
        for (i, edit) in new.iter().enumerate() {
            assert_eq!(became(edit), Move::NewIndex, "{i}");
        }
        let file = std::env::temp_dir().join("pubsync-moves.db");
        let local = LocalTarget::new("local", file).unwrap();
        let wanted = collection(json!({}));
        let other = Collection {
            settings: json!({ "x": 1 }),
            ..wanted
        };
        assert_eq!(compare(&set, &other, Some(&local)), Move::InPlace);
    }

    #[test]
    fn what_was_taken_away_comes_back_in_a_place_of_its_own() {
        let stands = collection(json!({ "a": { "type": "long" } }));
        let set = WriteSet::new("d", "search", stands.clone());
        let given_up = begun(&set, &collection(json!({})), &Move::NewIndex, 2, Some(7));
        let given_up = given_up.given_up("d", Step::Agreed);
        let numbers = |set: &WriteSet| set.collections().map(|c| c.number).collect::<Vec<_>>();
        assert_eq!(numbers(&given_up), [1, 2]);
        assert_eq!(compare(&given_up, &stands, Some(&search())), Move::Anew);
        let again = begun(&given_up, &stands, &Move::Anew, 3, None);
        assert_eq!(numbers(&again), [3]);
        assert_eq!(again.retired.iter().map(|c| c.number).collect::<Vec<_>>(), [1, 2]);
        assert!(again.removal.is_none() && again.serving.takes("d:1") && !given_up.serving.takes("d:1"));
    }

    #[test]
    fn an_index_that_is_wanted_no_more_goes_before_it_serves() {
        let stands = collection(json!({ "a": { "type": "long" } }));
        let double = collection(json!({ "a": { "type": "double" } }));
        let set = WriteSet::new("d", "search", stands.clone());
        let moving = begun(&set, &double, &Move::NewIndex, 2, Some(7));
        assert_eq!(
            moving
                .collections()
                .map(|c| (c.number, c.filling))
                .collect::<Vec<_>>(),
            [(1, false), (2, true)]
        );
        assert_eq!(compare(&moving, &double, Some(&search())), Move::Nothing);
        assert_eq!(compare(&moving, &stands, Some(&search())), Move::Back);
        let back = begun(&moving, &stands, &Move::Back, 3, None);
        assert_eq!((back.collections().count(), back.retired[0].number), (1, 2));
        let text = collection(json!({ "a": { "type": "text" } }));
        assert_eq!(compare(&moving, &text, Some(&search())), Move::NewIndex);
        let on = begun(&moving, &text, &Move::NewIndex, 3, Some(8));
        assert_eq!(
            (on.filling.unwrap().collection.number, on.retired[0].number),
            (3, 2)
        );
    }
}
