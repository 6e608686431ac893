//! Takes parts out of a failing case as long as it fails.

use super::{case::Case, databases::Databases, history::Step, outcome};

/// Tries at most; each is a whole case.
const TRIES: usize = 100;

pub async fn shrink(databases: &Databases, mut case: Case, mut difference: String) -> (Case, String) {
    let mut tries = 0;
    let mut smaller = true;
    while smaller && tries < TRIES {
        smaller = false;
        let mut part = 0;
        while tries < TRIES {
            let Some(candidate) = without(&case, part) else {
                break;
            };
            tries += 1;
            match outcome(databases, &candidate).await {
                Err(still) if !still.starts_with("panic: not within") => {
                    (case, difference, smaller) = (candidate, still, true);
                }
                _ => part += 1,
            }
        }
    }
    (case, difference)
}

/// The case without one of its parts: documents, lines of bodies, steps, statements, rows of the beginning. `None` past the last.
fn without(case: &Case, part: usize) -> Option<Case> {
    let mut left = case.clone();
    let mut at = part;
    if at < case.documents.len() && case.documents.len() > 1 {
        left.documents.remove(at);
        return Some(left);
    }
    at -= if case.documents.len() > 1 {
        case.documents.len()
    } else {
        0
    };
    // The last comparison stays.
    let steps = case.steps.len() - 1;
    if at < steps {
        left.steps.remove(at);
        return Some(left);
    }
    at -= steps;
    for step in &mut left.steps {
        if let Step::Transaction { statements, .. } = step {
            if at < statements.len() {
                statements.remove(at);
                return Some(left);
            }
            at -= statements.len();
        }
    }
    for document in &mut left.documents {
        let lines: Vec<&str> = document.yaml.lines().collect();
        let members: Vec<usize> = (0..lines.len())
            .filter(|line| lines[*line].starts_with("  m"))
            .collect();
        if members.len() > 1 {
            if at < members.len() {
                let kept = lines.iter().enumerate().filter(|(line, _)| *line != members[at]);
                document.yaml = kept.map(|(_, line)| format!("{line}\n")).collect();
                return Some(left);
            }
            at -= members.len();
        }
    }
    if at < case.load.len() {
        left.load.remove(at);
        return Some(left);
    }
    None
}
