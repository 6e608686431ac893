//! Keys and aliases that two documents, or two templates of one document, could both make.

use pubsync_schema::shape::{KeyPart, KeyPattern};

use crate::language::problem::Report;
use crate::language::syntax::{At, Declaration};
use crate::language::template::Piece;
use crate::language::yaml::Span;

/// The key, or an alias.
struct Template {
    at: Span,
    pattern: KeyPattern,
    alias: bool,
}

/// Aliases against the key of their own document and against each other.
pub fn within(declaration: &Declaration, report: &mut Report<'_>) {
    let templates: Vec<Template> = templates(declaration).collect();
    for (i, later) in templates.iter().enumerate() {
        let Some(earlier) = templates[..i]
            .iter()
            .find(|earlier| earlier.pattern.collides(&later.pattern))
        else {
            continue;
        };
        let other = if earlier.alias { "another alias" } else { "the key" };
        let message = format!("an alias and {other} of the document could be the same");
        let help = "let it begin with different text".to_owned();
        report.fail_with::<()>(later.at, "key_collision", message, help);
    }
}

/// Two documents that go to one target. `file`: of the earlier one; `target`: as messages say it.
pub fn between(
    later: &Declaration,
    earlier: &Declaration,
    file: &str,
    target: &str,
    report: &mut Report<'_>,
) {
    let (Some(name), Some(other)) = (&later.name, &earlier.name) else {
        return;
    };
    for template in templates(later) {
        let collides = |other: &Template| template.pattern.collides(&other.pattern);
        let Some(found) = templates(earlier).find(collides) else {
            continue;
        };
        let message = format!(
            "{} and {} ({file}) could make the same key{target}",
            called(&name.is, template.alias),
            called(&other.is, found.alias)
        );
        let help = "let their keys begin with different text, such as the names of the documents".to_owned();
        report.fail_with::<()>(template.at, "key_collision", message, help);
    }
}

fn called(document: &str, alias: bool) -> String {
    let of = if alias { "an alias of " } else { "" };
    format!("{of}\"{document}\"")
}

/// The key first.
fn templates(declaration: &Declaration) -> impl Iterator<Item = Template> {
    let template = |alias: bool| {
        move |template: &At<Vec<Piece>>| Template {
            at: template.at,
            pattern: pattern(&template.is),
            alias,
        }
    };
    let key = declaration.key.iter().map(template(false));
    key.chain(declaration.aliases.iter().map(template(true)))
}

/// A template with the names as they are written.
pub fn pattern(pieces: &[Piece]) -> KeyPattern {
    let part = |piece: &Piece| match piece {
        Piece::Literal(text) => KeyPart::Literal(text.clone()),
        Piece::Column(name) => KeyPart::Value(name.to_string()),
    };
    KeyPattern(pieces.iter().map(part).collect())
}
