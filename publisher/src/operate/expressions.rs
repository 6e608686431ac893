//! Expressions of documents (`{ sql: … }`), tried on the database: only it knows its functions and types.

use pubsync_schema::fault::{Fault, chain, classify};
use pubsync_schema::names::Names;
use sea_orm::{ConnectionTrait, DbErr};

use crate::catalogue::{Catalogue, texts};
use crate::document::Document;
use crate::language::{Problem, SourceFile};
use crate::plan::DocumentPlan;

/// What the database says against the expressions of documents, each with its file. Each SELECT runs over no rows, so it is prepared and planned, and computes nothing.
///
/// # Errors
/// Where the database cannot be asked.
pub(crate) async fn problems(
    conn: &impl ConnectionTrait,
    names: &Names,
    catalogue: &Catalogue,
    documents: &[(&SourceFile, Document)],
) -> Result<Vec<Problem>, DbErr> {
    let mut problems = Vec::new();
    for (file, document) in documents {
        let plan = DocumentPlan::new(document.clone(), catalogue, names);
        for used in &plan.expressions {
            let Some(step) = &plan.steps[used.step] else {
                continue;
            };
            match texts(conn, &step.sql, vec!["[]".into()], step.width + 1).await {
                Ok(_) => {}
                Err(error) if matches!(classify(&error), Fault::Down | Fault::Retry) => return Err(error),
                Err(error) => {
                    let message = format!("the database refuses the expression: {}", chain(&error));
                    problems.push(Problem::at(file, used.line, used.column, "sql", message));
                }
            }
        }
    }
    Ok(problems)
}
