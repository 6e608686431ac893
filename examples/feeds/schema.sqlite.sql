-- A shop that keeps its texts in typed attribute tables, for a default scope and, where they differ, for a store view.
-- No column, table or trigger in here is pubsync's.
-- The declared types matter: NUMERIC(10,2), BOOLEAN, DATETIME and JSON decide how values become JSON.

CREATE TABLE website (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);

-- The view with id 0 is the default scope: it belongs to no website.
CREATE TABLE store_view (
    id         INTEGER PRIMARY KEY,
    website_id INTEGER REFERENCES website (id) ON DELETE CASCADE,
    code       TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL
);
CREATE INDEX store_view_by_website ON store_view (website_id);

CREATE TABLE customer_group (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

-- Attributes

CREATE TABLE attribute (
    id         INTEGER PRIMARY KEY,
    code       TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL, -- the table of its values: varchar, int, decimal, text, datetime
    input      TEXT NOT NULL, -- text, select, price, date
    is_visible BOOLEAN NOT NULL DEFAULT true,
    position   INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE attribute_label (
    attribute_id  INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    PRIMARY KEY (attribute_id, store_view_id)
);
CREATE INDEX attribute_label_by_view ON attribute_label (store_view_id);

CREATE TABLE attribute_option (
    id           INTEGER PRIMARY KEY,
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    code         TEXT NOT NULL,
    position     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attribute_option_by_attribute ON attribute_option (attribute_id);

CREATE TABLE attribute_option_label (
    option_id     INTEGER NOT NULL REFERENCES attribute_option (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    PRIMARY KEY (option_id, store_view_id)
);
CREATE INDEX attribute_option_label_by_view ON attribute_option_label (store_view_id);

-- Products

CREATE TABLE product (
    id         INTEGER PRIMARY KEY,
    sku        TEXT NOT NULL UNIQUE,
    kind       TEXT NOT NULL, -- simple, configurable
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    updated_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE product_website (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    website_id INTEGER NOT NULL REFERENCES website (id) ON DELETE CASCADE,
    PRIMARY KEY (product_id, website_id)
);
CREATE INDEX product_website_by_website ON product_website (website_id);

CREATE TABLE product_varchar (
    product_id    INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    attribute_id  INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    content       VARCHAR(255),
    PRIMARY KEY (product_id, attribute_id, store_view_id)
);
CREATE INDEX product_varchar_by_attribute ON product_varchar (attribute_id);
CREATE INDEX product_varchar_by_view ON product_varchar (store_view_id);

CREATE TABLE product_int (
    product_id    INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    attribute_id  INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    content       INTEGER,
    PRIMARY KEY (product_id, attribute_id, store_view_id)
);
CREATE INDEX product_int_by_attribute ON product_int (attribute_id);
CREATE INDEX product_int_by_view ON product_int (store_view_id);

CREATE TABLE product_decimal (
    product_id    INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    attribute_id  INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    content       NUMERIC(12,4),
    PRIMARY KEY (product_id, attribute_id, store_view_id)
);
CREATE INDEX product_decimal_by_attribute ON product_decimal (attribute_id);
CREATE INDEX product_decimal_by_view ON product_decimal (store_view_id);

CREATE TABLE product_text (
    product_id    INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    attribute_id  INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    content       TEXT,
    PRIMARY KEY (product_id, attribute_id, store_view_id)
);
CREATE INDEX product_text_by_attribute ON product_text (attribute_id);
CREATE INDEX product_text_by_view ON product_text (store_view_id);

CREATE TABLE product_datetime (
    product_id    INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    attribute_id  INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    content       DATETIME,
    PRIMARY KEY (product_id, attribute_id, store_view_id)
);
CREATE INDEX product_datetime_by_attribute ON product_datetime (attribute_id);
CREATE INDEX product_datetime_by_view ON product_datetime (store_view_id);

CREATE TABLE media (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    file       TEXT NOT NULL,
    position   INTEGER NOT NULL DEFAULT 0,
    is_hidden  BOOLEAN NOT NULL DEFAULT false
);
CREATE INDEX media_by_product ON media (product_id);

CREATE TABLE media_label (
    media_id      INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    PRIMARY KEY (media_id, store_view_id)
);
CREATE INDEX media_label_by_view ON media_label (store_view_id);

-- A configurable product, the simple ones that it can become, and the attributes by which they differ.
CREATE TABLE product_variant (
    parent_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    child_id  INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (parent_id, child_id)
);
CREATE INDEX product_variant_by_child ON product_variant (child_id);

CREATE TABLE product_axis (
    product_id   INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_id, attribute_id)
);
CREATE INDEX product_axis_by_attribute ON product_axis (attribute_id);

-- Categories

CREATE TABLE category (
    id         INTEGER PRIMARY KEY,
    parent_id  INTEGER REFERENCES category (id) ON DELETE CASCADE,
    url_path   TEXT NOT NULL UNIQUE,
    position   INTEGER NOT NULL DEFAULT 0,
    is_active  BOOLEAN NOT NULL DEFAULT true,
    is_in_menu BOOLEAN NOT NULL DEFAULT true
);
CREATE INDEX category_by_parent ON category (parent_id);

CREATE TABLE category_label (
    category_id   INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    store_view_id INTEGER NOT NULL REFERENCES store_view (id) ON DELETE CASCADE,
    label         TEXT NOT NULL,
    PRIMARY KEY (category_id, store_view_id)
);
CREATE INDEX category_label_by_view ON category_label (store_view_id);

CREATE TABLE category_product (
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    product_id  INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (category_id, product_id)
);
CREATE INDEX category_product_by_product ON category_product (product_id);

-- Prices

CREATE TABLE price (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    website_id INTEGER NOT NULL REFERENCES website (id) ON DELETE CASCADE,
    regular    NUMERIC(12,4) NOT NULL,
    PRIMARY KEY (product_id, website_id)
);
CREATE INDEX price_by_website ON price (website_id);

CREATE TABLE price_discount (
    id                INTEGER PRIMARY KEY,
    product_id        INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    website_id        INTEGER NOT NULL REFERENCES website (id) ON DELETE CASCADE,
    customer_group_id INTEGER REFERENCES customer_group (id) ON DELETE CASCADE, -- null: all groups
    kind              TEXT NOT NULL, -- special, catalogue rule
    amount            NUMERIC(12,4),
    percent           NUMERIC(5,2)
);
CREATE INDEX price_discount_by_product ON price_discount (product_id, website_id);
CREATE INDEX price_discount_by_website ON price_discount (website_id);
CREATE INDEX price_discount_by_group ON price_discount (customer_group_id);

CREATE TABLE price_tier (
    product_id        INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    website_id        INTEGER NOT NULL REFERENCES website (id) ON DELETE CASCADE,
    customer_group_id INTEGER NOT NULL REFERENCES customer_group (id) ON DELETE CASCADE,
    quantity          NUMERIC(12,4) NOT NULL,
    amount            NUMERIC(12,4) NOT NULL,
    PRIMARY KEY (product_id, website_id, customer_group_id, quantity)
);
CREATE INDEX price_tier_by_website ON price_tier (website_id);
CREATE INDEX price_tier_by_group ON price_tier (customer_group_id);

-- Stock

CREATE TABLE stock (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

CREATE TABLE stock_item (
    stock_id   INTEGER NOT NULL REFERENCES stock (id) ON DELETE CASCADE,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    quantity   NUMERIC(12,4) NOT NULL,
    threshold  NUMERIC(12,4) NOT NULL DEFAULT 0,
    is_managed BOOLEAN NOT NULL DEFAULT true,
    PRIMARY KEY (stock_id, product_id)
);
CREATE INDEX stock_item_by_product ON stock_item (product_id);

-- Orders; the shop moves old ones to an archive of its own and deletes them here.

CREATE TABLE sales_order (
    id         INTEGER PRIMARY KEY,
    number     TEXT NOT NULL UNIQUE,
    website_id INTEGER REFERENCES website (id) ON DELETE SET NULL,
    status     TEXT NOT NULL,
    placed_at  DATETIME NOT NULL
);
CREATE INDEX sales_order_by_website ON sales_order (website_id);

CREATE TABLE sales_order_line (
    id        INTEGER PRIMARY KEY,
    order_id  INTEGER NOT NULL REFERENCES sales_order (id) ON DELETE CASCADE,
    sku       TEXT NOT NULL,
    quantity  INTEGER NOT NULL,
    row_total NUMERIC(12,4) NOT NULL
);
CREATE INDEX sales_order_line_by_order ON sales_order_line (order_id);
