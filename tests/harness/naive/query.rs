//! `queries`: a statement used like a table. Its columns are those of a temporary view over it, its rows what it gives.

use super::{
    declaration::{Declaration, Query},
    schema::{Engine, POSTGRES_COLUMNS, Schema, Table, literal, postgres_column, sqlite_column},
};
use crate::Session;

const VIEW: &str = "naive_query";

/// Under which name a query stands among the tables.
pub(super) fn table_name(query: &str) -> String {
    format!("query {query}")
}

impl Schema {
    /// Adds the queries of a declaration to the tables. Declarations that share a schema must not share names of queries.
    pub async fn add_queries(&mut self, session: &mut Session, declaration: &Declaration) {
        for query in &declaration.queries {
            let table = described(session, self.engine, query).await;
            self.tables.insert(table.name.clone(), table);
        }
    }
}

async fn described(session: &mut Session, engine: Engine, query: &Query) -> Table {
    let view = format!("CREATE TEMPORARY VIEW {VIEW} AS {}", query.sql);
    session
        .execute(&view)
        .await
        .unwrap_or_else(|error| panic!("{view}: {error}"));
    let columns = match engine {
        Engine::Postgres => {
            let sql = format!("{POSTGRES_COLUMNS} AND c.relname = '{VIEW}' ORDER BY a.attnum");
            session
                .rows(&sql)
                .await
                .iter()
                .map(|row| postgres_column(row))
                .collect()
        }
        Engine::Sqlite => {
            let sql = format!(
                "SELECT name, type, '0', '0' FROM pragma_table_info({}) ORDER BY cid",
                literal(VIEW)
            );
            session
                .rows(&sql)
                .await
                .iter()
                .map(|row| sqlite_column(row))
                .collect()
        }
    };
    let dropped = session.execute(&format!("DROP VIEW {VIEW}")).await;
    dropped.unwrap_or_else(|error| panic!("{VIEW}: {error}"));
    let mut table = Table {
        name: table_name(&query.name),
        sql: format!("({}) AS query", query.sql),
        columns,
        key: Vec::new(),
        foreign: Vec::new(),
    };
    table.key = query.id.iter().map(|name| table.place(name)).collect();
    table
}
