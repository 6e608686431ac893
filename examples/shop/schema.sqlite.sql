-- A small shop, as an application would have it: no column, table or trigger in here is pubsync's.
-- The declared types matter: NUMERIC(10,2), BOOLEAN, DATETIME and JSON decide how values become JSON.

CREATE TABLE store (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

CREATE TABLE locale (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

CREATE TABLE store_locale (
    store_id  INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    PRIMARY KEY (store_id, locale_id)
);
CREATE INDEX store_locale_by_locale ON store_locale (locale_id);

CREATE TABLE brand (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    logo_url TEXT
);

CREATE TABLE category (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    parent_id INTEGER REFERENCES category (id),
    position  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX category_by_parent ON category (parent_id);

CREATE TABLE product (
    id          INTEGER PRIMARY KEY,
    sku         TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    description TEXT,
    brand_id    INTEGER REFERENCES brand (id),
    is_active   BOOLEAN NOT NULL DEFAULT true,
    attributes  JSON NOT NULL DEFAULT '{}',
    created_at  DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX product_by_brand ON product (brand_id);

CREATE TABLE product_category (
    product_id  INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_category_by_category ON product_category (category_id);

-- In which stores a product is sold.
CREATE TABLE product_store (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    store_id   INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    PRIMARY KEY (product_id, store_id)
);
CREATE INDEX product_store_by_store ON product_store (store_id);

-- Translations. Without a row, the product's own name and description count.
CREATE TABLE product_text (
    product_id  INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    locale_id   INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT,
    PRIMARY KEY (product_id, locale_id)
);
CREATE INDEX product_text_by_locale ON product_text (locale_id);

CREATE TABLE price (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    store_id   INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    currency   TEXT NOT NULL,
    kind       TEXT NOT NULL, -- net or gross
    amount     NUMERIC(10,2) NOT NULL,
    UNIQUE (product_id, store_id, currency, kind)
);
CREATE INDEX price_by_store ON price (store_id);

CREATE TABLE image (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    url        TEXT NOT NULL,
    position   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX image_by_product ON image (product_id);

CREATE TABLE stock (
    product_id INTEGER PRIMARY KEY REFERENCES product (id) ON DELETE CASCADE,
    quantity   INTEGER NOT NULL
);
