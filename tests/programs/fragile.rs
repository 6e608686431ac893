//! pubsync with a document whose publisher bears not every row: some kill the process that builds them, as a crash in a
//! library would, and some make it panic.

use std::process::ExitCode;

use pubsync::{
    App, BuildError, Built, BuiltDocument, DbErr, Declaration, Publisher, RootPage, Source, TableImages,
    Walked, async_trait, select_of, walk,
};

struct Notes;

#[tokio::main]
async fn main() -> ExitCode {
    let declaration = Declaration::new("note", "note:{id}", 1).captures("note", &["id"], &["text"]);
    App::new().publisher(declaration, Notes).run().await
}

#[async_trait]
impl Publisher for Notes {
    async fn affected(
        &self,
        _: Source<'_>,
        changes: &[TableImages],
        page: RootPage<'_>,
    ) -> Result<Vec<String>, DbErr> {
        let ids = changes.iter().flat_map(|images| images.values("id"));
        Ok(page.of(ids.map(str::to_owned)))
    }

    async fn all(&self, source: Source<'_>, from: Option<&str>, limit: u64) -> Result<Walked, DbErr> {
        walk(source, from, limit, "SELECT CAST(id AS text) AS root FROM note").await
    }

    async fn build(&self, source: Source<'_>, roots: &[String]) -> Result<Vec<Built>, BuildError> {
        let sql = "SELECT r.root, n.text FROM {roots} r JOIN note n ON n.id = CAST(r.root AS integer) ORDER BY n.id";
        let rows: Vec<(String, String)> = select_of(source, roots, sql).await?;
        let notes = rows.into_iter().map(|(root, text)| {
            match text.as_str() {
                "kill" => std::process::abort(),
                "panic" => panic!("this note cannot be borne"),
                _ => {}
            }
            let body = format!("{{\"text\":{text:?}}}");
            let document = BuiltDocument::new(format!("note:{root}"), body);
            Built::new(root, vec![Ok(document)])
        });
        Ok(notes.collect())
    }
}
