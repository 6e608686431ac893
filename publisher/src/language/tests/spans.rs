//! Every node of a YAML tree knows its place.

use super::super::yaml::{Content, Node, parse};

/// `line:column text` of all scalars, lists and maps, keys with a colon.
fn places(text: &str) -> Vec<String> {
    fn walk(node: &Node, out: &mut Vec<String>) {
        let mut push = |text: &str| out.push(format!("{}:{} {text}", node.at.line, node.at.column));
        match &node.value {
            Content::Scalar(scalar) => push(&scalar.text),
            Content::List(items) => {
                push("[]");
                items.iter().for_each(|item| walk(item, out));
            }
            Content::Map(entries) => {
                push("{}");
                for entry in entries {
                    out.push(format!("{}:{} {}:", entry.at.line, entry.at.column, entry.key));
                    walk(&entry.value, out);
                }
            }
        }
    }
    let (tree, faults) = parse(text);
    assert_eq!(faults, []);
    let mut out = Vec::new();
    walk(&tree.unwrap(), &mut out);
    out
}

#[test]
fn of_blocks() {
    let text = "# x\na:\n  b: c\n  d:\n  - e\n  - f: g\n    h: >\n      long\n      text\ni:\n";
    assert_eq!(
        places(text),
        [
            "2:1 {}",
            "2:1 a:",
            "3:3 {}",
            "3:3 b:",
            "3:6 c",
            "4:3 d:",
            "5:5 []",
            "5:5 e",
            "6:5 {}",
            "6:5 f:",
            "6:8 g",
            "7:5 h:",
            "8:7 long text\n",
            "10:1 i:",
            "10:1 ",
        ]
    );
}

#[test]
fn of_flows_quotes_and_letters_of_several_bytes() {
    assert_eq!(
        places("ä: { 'ö': \"ü\", x: [1,\n  zwei] }\r\nb: c\r\n"),
        [
            "1:1 {}", "1:1 ä:", "1:4 {}", "1:6 ö:", "1:11 ü", "1:16 x:", "1:19 []", "1:20 1", "2:3 zwei",
            "3:1 b:", "3:4 c"
        ]
    );
}

#[test]
fn of_texts_with_marks() {
    assert_eq!(places("\u{feff}a: b"), ["1:1 {}", "1:1 a:", "1:4 b"]);
    assert_eq!(
        places("---\na: &x b\nc: *x\n...\n"),
        ["2:1 {}", "2:1 a:", "2:7 b", "3:1 c:", "2:7 b"]
    );
}

#[test]
fn aliases_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let before = format!("*a{}, ", i - 1).repeat(10);
        text += &format!("a{i}: &a{i} [{}]\n", before.trim_end_matches(", "));
    }
    let (tree, faults) = parse(&text);
    assert!(tree.is_none());
    assert_eq!(
        faults[0].message,
        "the file has more than 50000 values, aliases written out"
    );
    let (tree, faults) = parse(&format!("{}{}", "[".repeat(100), "]".repeat(100)));
    assert!(tree.is_none());
    assert_eq!(faults[0].message, "nested deeper than 64 levels");
}
