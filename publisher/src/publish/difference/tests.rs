//! The comparison, case by case: documents, then aliases.

use super::*;

fn known(key: &str, root: &str, hash: &str, deleted: bool) -> Known {
    Known {
        key: key.into(),
        root: Some(root.into()),
        kind: mirror::Kind::Document,
        hash: hash.into(),
        revision: 1,
        definition: 1,
        deleted,
    }
}

fn pointer(key: &str, root: &str, of: &str) -> Known {
    Known {
        kind: mirror::Kind::Alias,
        ..known(key, root, &pointer_hash(of), false)
    }
}

fn doc(key: &str, hash: &str) -> Result<BuiltDocument, DocumentFailure> {
    let document = BuiltDocument::new(key.into(), "{}".into());
    Ok(BuiltDocument {
        hash: hash.into(),
        ..document
    })
}

fn alias(key: &str, of: &str) -> Result<BuiltDocument, DocumentFailure> {
    Ok(BuiltDocument::alias(key.into(), of))
}

fn fail(key: Option<&str>) -> Result<BuiltDocument, DocumentFailure> {
    Err(DocumentFailure {
        key: key.map(str::to_owned),
        class: "value",
        message: "NaN".into(),
    })
}

fn keys(changed: &[Changed]) -> Vec<&str> {
    changed.iter().map(|c| c.document.key.as_str()).collect()
}

fn gone(difference: &Difference) -> Vec<&str> {
    difference.gone.iter().map(|g| g.0.as_str()).collect()
}

#[test]
fn unchanged_is_silent_absent_is_deleted_new_is_written() {
    let before = [
        known("a", "1", "h", false),
        known("b", "1", "h", false),
        known("c", "2", "h", true),
    ];
    let after = vec![
        Built::new("1", vec![doc("a", "h"), doc("n", "h")]),
        Built::new("2", vec![doc("c", "h")]),
    ];
    let d = between(&before, after);
    assert_eq!(d.unchanged.len(), 1);
    assert_eq!(d.gone, [("b".to_owned(), "1".to_owned())]);
    assert_eq!(
        keys(&d.puts),
        ["n", "c"],
        "a tombstone with the old hash is dug out again"
    );
}

#[test]
fn failed_is_not_absent() {
    let before = [
        known("a", "1", "h", false),
        known("b", "1", "h", false),
        known("c", "2", "h", false),
    ];
    let after = vec![
        Built::new("1", vec![fail(Some("a"))]),
        Built::new("2", vec![fail(None)]),
    ];
    let d = between(&before, after);
    assert_eq!(gone(&d), ["b"], "a and c keep their rows");
    assert_eq!(d.failed.len(), 2);
}

#[test]
fn a_key_that_moves_within_the_batch_is_buried_and_written() {
    let before = [known("x", "1", "h", false)];
    let after = vec![Built::new("1", vec![]), Built::new("2", vec![doc("x", "h")])];
    let d = between(&before, after);
    assert_eq!(d.gone, [("x".to_owned(), "1".to_owned())]);
    assert_eq!(d.puts.len(), 1);
    assert_eq!(d.puts[0].root, "2");
}

fn held_by(difference: &Difference) -> Vec<(&str, &str, Holder)> {
    let conflict = |c: &'_ Conflict| c.holder.clone();
    difference
        .conflicting
        .iter()
        .map(|c| (c.key.as_str(), c.root.as_str(), conflict(c)))
        .collect()
}

#[test]
fn the_holder_of_a_key_keeps_it() {
    let after = || {
        vec![
            Built::new("1", vec![doc("x", "h")]),
            Built::new("2", vec![doc("x", "g")]),
        ]
    };
    let d = between(&[known("x", "2", "g", false)], after());
    assert_eq!((d.puts.len(), d.gone.len(), d.unchanged.len()), (0, 0, 1));
    assert_eq!(held_by(&d), [("x", "1", Holder::Root("2".into()))]);

    let d = between(&[], after());
    assert_eq!(d.puts.len(), 1);
    assert_eq!(
        held_by(&d),
        [("x", "2", Holder::Root("1".into()))],
        "nobody held it: the first"
    );
}

#[test]
fn aliases_live_and_die_with_their_documents() {
    let before = [
        known("a", "1", "h", false),
        pointer("old", "1", "a"),
        pointer("same", "1", "a"),
    ];
    let after = vec![Built::new(
        "1",
        vec![doc("a", "h"), alias("new", "a"), alias("same", "a")],
    )];
    let d = between(&before, after);
    assert_eq!((keys(&d.puts), keys(&d.aliases)), (vec![], vec!["new"]));
    assert_eq!((d.unchanged.len(), gone(&d)), (2, vec!["old"]));
}

#[test]
fn aliases_of_a_document_that_cannot_be_built_stay() {
    let before = [
        known("a", "1", "h", false),
        pointer("to-a", "1", "a"),
        pointer("to-b", "1", "b"),
    ];
    let d = between(&before, vec![Built::new("1", vec![fail(Some("a"))])]);
    assert_eq!(gone(&d), ["to-b"]);
}

#[test]
fn two_documents_of_a_root_want_one_alias() {
    let after = || {
        vec![Built::new(
            "1",
            vec![doc("a", "h"), alias("x", "a"), doc("b", "h"), alias("x", "b")],
        )]
    };
    let holder = |of: &str| Holder::AliasOf(of.to_owned());
    let d = between(&[], after());
    assert_eq!((keys(&d.puts), keys(&d.aliases)), (vec!["a", "b"], vec!["x"]));
    assert_eq!(held_by(&d), [("x", "1", holder("a"))]);

    let d = between(&[pointer("x", "1", "b")], after());
    assert_eq!(
        (keys(&d.aliases), d.unchanged.len()),
        (vec![], 1),
        "who has it keeps it"
    );
    assert_eq!(held_by(&d), [("x", "1", holder("b"))]);
}

#[test]
fn an_alias_stays_with_its_root() {
    let before = [pointer("x", "2", "was")];
    let after = vec![
        Built::new("1", vec![doc("a", "h"), alias("x", "a")]),
        Built::new("2", vec![doc("b", "h"), alias("x", "b")]),
    ];
    let d = between(&before, after);
    assert_eq!(keys(&d.aliases), ["x"]);
    assert_eq!(d.aliases[0].root, "2");
    assert_eq!(held_by(&d), [("x", "1", Holder::Root("2".into()))]);
}

/// Else it would lead to what stands under the key of another root.
#[test]
fn a_document_without_its_key_has_no_aliases() {
    let before = [
        known("k", "2", "h", false),
        known("was", "1", "h", false),
        pointer("x", "1", "was"),
    ];
    let after = || Built::new("1", vec![doc("k", "g"), alias("x", "k"), alias("y", "k")]);
    let d = between(&before, vec![after(), Built::new("2", vec![doc("k", "h")])]);
    assert_eq!((keys(&d.puts), keys(&d.aliases)), (vec![], vec![]));
    assert_eq!(gone(&d), ["was", "x"]);

    // The same where the mirror says so.
    let mut d = between(&before[1..], vec![after()]);
    let gone = d.refuse(&[], &[("k".into(), "2".into())]);
    assert_eq!((keys(&d.puts), keys(&d.aliases)), (vec![], vec![]));
    assert_eq!(gone, [("x".to_owned(), "1".to_owned())]);
    assert_eq!(held_by(&d), [("k", "1", Holder::Root("2".into()))]);
}

#[test]
fn a_key_becomes_an_alias() {
    let before = [known("old", "1", "h", false)];
    let after = vec![Built::new("1", vec![doc("new", "h"), alias("old", "new")])];
    let d = between(&before, after);
    assert_eq!((keys(&d.puts), keys(&d.aliases)), (vec!["new"], vec!["old"]));
    assert_eq!(d.aliases[0].replaces, Some(mirror::Kind::Document));
    assert_eq!(gone(&d), Vec::<&str>::new());
}

#[test]
fn conflicts_name_both() {
    let conflict = |alias_of: Option<&str>, holder| Conflict {
        key: "x".into(),
        root: "1".into(),
        alias_of: alias_of.map(str::to_owned),
        holder,
    };
    assert_eq!(
        conflict(None, Holder::Root("2".into())).tell(),
        (
            "key conflict",
            "key \"x\" of root 1 is held by root 2: two live roots make the same key; change the key template or the data"
                .to_owned()
        )
    );
    assert_eq!(
        conflict(Some("a"), Holder::AliasOf("b".into())).tell(),
        (
            "alias conflict",
            "alias \"x\" of \"a\" (root 1) is held by the document \"b\" of the same root: the document is there, its \
             alias is not; change the template of the alias or the data"
                .to_owned()
        )
    );
}

#[test]
fn a_root_that_is_kept_leaves_its_rows() {
    let before = [
        known("a", "1", "h", false),
        pointer("x", "1", "a"),
        known("b", "2", "h", false),
    ];
    let kept = Built {
        kept: true,
        ..Built::new("1", vec![])
    };
    let d = between(&before, vec![kept, Built::new("2", vec![])]);
    assert_eq!(gone(&d), ["b"]);
    let stay: Vec<_> = d.unchanged.iter().map(|u| u.key.as_str()).collect();
    assert_eq!(stay, ["a", "x"]);
}
