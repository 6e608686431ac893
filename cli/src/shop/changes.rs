//! The changes of the demo's story: plain SQL, as any application would run it. They find their rows themselves, so they
//! work on every filled shop and again and again.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, TransactionTrait};

/// What can happen to a shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One row that many documents show.
    RenameBrand,
    /// The product and its rows in six other tables, in one transaction.
    DeleteProduct,
    /// A junction row whose key changes.
    MoveProduct,
    ChangePrice,
    /// One statement over 500 rows.
    UpdateStock,
    /// Every product changed, and then not.
    RollBack,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// A clause in the past: `renamed the brand Elm to Elm & Sons, which 52 products show`.
    pub text: String,
    /// Rows that are different now; 0 after a rollback.
    pub rows: u64,
    /// A document that shows it, for `explain`: its declaration's name and the root id.
    pub example: (&'static str, i64),
}

impl Change {
    /// In the order of the story.
    pub const ALL: [Self; 6] = [
        Self::RenameBrand,
        Self::DeleteProduct,
        Self::MoveProduct,
        Self::ChangePrice,
        Self::UpdateStock,
        Self::RollBack,
    ];

    /// For people: `rename a brand`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RenameBrand => "rename a brand",
            Self::DeleteProduct => "delete a product",
            Self::MoveProduct => "move a product to another category",
            Self::ChangePrice => "change a price",
            Self::UpdateStock => "update 500 stock rows in one statement",
            Self::RollBack => "change all products and roll back",
        }
    }

    /// Makes the change. It is committed on return.
    ///
    /// # Errors
    /// What the database says; [`DbErr::RecordNotFound`] where the shop has no such row.
    pub async fn run(self, db: &DatabaseConnection) -> Result<Done, DbErr> {
        match self {
            Self::RenameBrand => rename_brand(db).await,
            Self::DeleteProduct => delete_product(db).await,
            Self::MoveProduct => move_product(db).await,
            Self::ChangePrice => change_price(db).await,
            Self::UpdateStock => update_stock(db).await,
            Self::RollBack => roll_back(db).await,
        }
    }
}

/// The brand with most products.
async fn rename_brand(db: &DatabaseConnection) -> Result<Done, DbErr> {
    let row = first(
        db,
        "SELECT brand.id, brand.name, count(*) AS products FROM brand JOIN product ON product.brand_id = brand.id \
         WHERE product.is_active GROUP BY brand.id, brand.name ORDER BY products DESC, brand.id LIMIT 1",
    )
    .await?;
    let (id, name, products): (i64, String, i64) =
        (row.try_get_by(0)?, row.try_get_by(1)?, row.try_get_by(2)?);
    let rows = execute(
        db,
        &format!("UPDATE brand SET name = name || ' & Sons' WHERE id = {id}"),
    )
    .await?;
    let text = format!("renamed the brand {name} to {name} & Sons, which {products} products show");
    Ok(Done {
        text,
        rows,
        example: ("brand", id),
    })
}

/// The last active product.
async fn delete_product(db: &DatabaseConnection) -> Result<Done, DbErr> {
    let row = first(
        db,
        "SELECT id, sku FROM product WHERE is_active ORDER BY id DESC LIMIT 1",
    )
    .await?;
    let (id, sku): (i64, String) = (row.try_get_by(0)?, row.try_get_by(1)?);
    let transaction = db.begin().await?;
    let mut rows = 0;
    for table in [
        "product_category",
        "product_store",
        "product_text",
        "price",
        "image",
        "stock",
    ] {
        rows += execute(
            &transaction,
            &format!("DELETE FROM {table} WHERE product_id = {id}"),
        )
        .await?;
    }
    let text = format!("deleted the product {sku} and its {rows} rows in other tables");
    rows += execute(&transaction, &format!("DELETE FROM product WHERE id = {id}")).await?;
    transaction.commit().await?;
    Ok(Done {
        text,
        rows,
        example: ("product", id),
    })
}

/// The first active product, to the first category below another that it is not in.
async fn move_product(db: &DatabaseConnection) -> Result<Done, DbErr> {
    let row = first(
        db,
        "SELECT product.id, product.sku, old.id, old.name, new.id, new.name FROM product \
         JOIN product_category AS held ON held.product_id = product.id JOIN category AS old ON old.id = held.category_id \
         JOIN category AS new ON new.parent_id IS NOT NULL WHERE product.is_active AND NOT EXISTS (SELECT 1 FROM \
         product_category AS other WHERE other.product_id = product.id AND other.category_id = new.id) \
         ORDER BY product.id, held.position, old.id, new.id LIMIT 1",
    )
    .await?;
    let (product, sku): (i64, String) = (row.try_get_by(0)?, row.try_get_by(1)?);
    let (old, old_name): (i64, String) = (row.try_get_by(2)?, row.try_get_by(3)?);
    let (new, new_name): (i64, String) = (row.try_get_by(4)?, row.try_get_by(5)?);
    let sql = format!(
        "UPDATE product_category SET category_id = {new} WHERE product_id = {product} AND category_id = {old}"
    );
    let rows = execute(db, &sql).await?;
    let text = format!("moved the product {sku} from the category {old_name} to {new_name}");
    Ok(Done {
        text,
        rows,
        example: ("product", product),
    })
}

/// The first price of an active product in a store that sells it.
async fn change_price(db: &DatabaseConnection) -> Result<Done, DbErr> {
    let row = first(
        db,
        "SELECT price.id, product.id, product.sku, store.code, price.currency, price.kind FROM price \
         JOIN product ON product.id = price.product_id JOIN store ON store.id = price.store_id \
         JOIN product_store AS sold ON sold.product_id = product.id AND sold.store_id = store.id \
         WHERE product.is_active ORDER BY price.id LIMIT 1",
    )
    .await?;
    let (id, product, sku): (i64, i64, String) = (row.try_get_by(0)?, row.try_get_by(1)?, row.try_get_by(2)?);
    let (store, currency, kind): (String, String, String) =
        (row.try_get_by(3)?, row.try_get_by(4)?, row.try_get_by(5)?);
    let rows = execute(
        db,
        &format!("UPDATE price SET amount = round(amount + 1, 2) WHERE id = {id}"),
    )
    .await?;
    let text =
        format!("raised the {kind} price of the product {sku} in the store {store} by 1.00 {currency}");
    Ok(Done {
        text,
        rows,
        example: ("product", product),
    })
}

async fn update_stock(db: &DatabaseConnection) -> Result<Done, DbErr> {
    let row = first(db, "SELECT min(product_id) FROM stock").await?;
    let example: Option<i64> = row.try_get_by(0)?;
    let example = example.ok_or_else(empty)?;
    let rows = execute(
        db,
        "UPDATE stock SET quantity = quantity + 1 WHERE product_id IN (SELECT product_id FROM stock ORDER BY product_id \
         LIMIT 500)",
    )
    .await?;
    let text = format!("updated {rows} stock rows in one statement");
    Ok(Done {
        text,
        rows,
        example: ("availability", example),
    })
}

async fn roll_back(db: &DatabaseConnection) -> Result<Done, DbErr> {
    let row = first(db, "SELECT id FROM product WHERE is_active ORDER BY id LIMIT 1").await?;
    let example: i64 = row.try_get_by(0)?;
    let transaction = db.begin().await?;
    let rows = execute(&transaction, "UPDATE product SET name = 'never committed'").await?;
    transaction.rollback().await?;
    let text = format!("renamed {rows} products and rolled back");
    Ok(Done {
        text,
        rows: 0,
        example: ("product", example),
    })
}

async fn first(db: &DatabaseConnection, sql: &str) -> Result<QueryResult, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(statement).await?.ok_or_else(empty)
}

async fn execute<C: ConnectionTrait>(connection: &C, sql: &str) -> Result<u64, DbErr> {
    Ok(connection.execute_unprepared(sql).await?.rows_affected())
}

fn empty() -> DbErr {
    DbErr::RecordNotFound("the shop has no row for this change: fill it first".to_owned())
}
