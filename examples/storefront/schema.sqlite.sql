-- A shop as a storefront sees it: products with variants, prices, stock, images, categories, addresses, pages, menus, in
-- several stores, languages and currencies. No column, table or trigger in here is pubsync's.
-- The declared types matter: NUMERIC(10,2), BOOLEAN, DATETIME and JSON decide how values become JSON.

CREATE TABLE currency (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);

CREATE TABLE locale (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

CREATE TABLE store (
    id                  INTEGER PRIMARY KEY,
    code                TEXT NOT NULL UNIQUE,
    name                TEXT NOT NULL,
    default_currency_id INTEGER REFERENCES currency (id) ON DELETE SET NULL
);
CREATE INDEX store_by_currency ON store (default_currency_id);

CREATE TABLE store_locale (
    store_id  INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    position  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (store_id, locale_id)
);
CREATE INDEX store_locale_by_locale ON store_locale (locale_id);

CREATE TABLE store_currency (
    store_id    INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    currency_id INTEGER NOT NULL REFERENCES currency (id) ON DELETE CASCADE,
    PRIMARY KEY (store_id, currency_id)
);
CREATE INDEX store_currency_by_currency ON store_currency (currency_id);

-- Categories

CREATE TABLE category (
    id         INTEGER PRIMARY KEY,
    code       TEXT NOT NULL UNIQUE,
    parent_id  INTEGER REFERENCES category (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL DEFAULT 0,
    is_active  BOOLEAN NOT NULL DEFAULT true,
    is_in_menu BOOLEAN NOT NULL DEFAULT true
);
CREATE INDEX category_by_parent ON category (parent_id);

CREATE TABLE category_text (
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    locale_id   INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    title       TEXT,
    PRIMARY KEY (category_id, locale_id)
);
CREATE INDEX category_text_by_locale ON category_text (locale_id);

CREATE TABLE category_store (
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    store_id    INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    PRIMARY KEY (category_id, store_id)
);
CREATE INDEX category_store_by_store ON category_store (store_id);

-- Products and their variants

CREATE TABLE product (
    id         INTEGER PRIMARY KEY,
    sku        TEXT NOT NULL UNIQUE,
    is_active  BOOLEAN NOT NULL DEFAULT true,
    attributes JSON NOT NULL DEFAULT '{}',
    rating     NUMERIC(5,2),
    new_until  DATETIME,
    created_at DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE product_text (
    product_id  INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    locale_id   INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT,
    keywords    TEXT,
    attributes  JSON NOT NULL DEFAULT '{}',
    PRIMARY KEY (product_id, locale_id)
);
CREATE INDEX product_text_by_locale ON product_text (locale_id);

CREATE TABLE product_store (
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    store_id   INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    PRIMARY KEY (product_id, store_id)
);
CREATE INDEX product_store_by_store ON product_store (store_id);

CREATE TABLE product_category (
    product_id  INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (product_id, category_id)
);
CREATE INDEX product_category_by_category ON product_category (category_id);

-- "Goes with", "instead of".
CREATE TABLE product_relation (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    related_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    position   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX product_relation_by_product ON product_relation (product_id);
CREATE INDEX product_relation_by_related ON product_relation (related_id);

CREATE TABLE variant (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    sku        TEXT NOT NULL UNIQUE,
    is_active  BOOLEAN NOT NULL DEFAULT true,
    position   INTEGER NOT NULL DEFAULT 0,
    valid_from  DATETIME,
    valid_until DATETIME
);
CREATE INDEX variant_by_product ON variant (product_id);

CREATE TABLE variant_text (
    variant_id INTEGER NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    locale_id  INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    PRIMARY KEY (variant_id, locale_id)
);
CREATE INDEX variant_text_by_locale ON variant_text (locale_id);

-- Attributes: options to choose from, and plain numbers

CREATE TABLE attribute (
    id       INTEGER PRIMARY KEY,
    code     TEXT NOT NULL UNIQUE,
    is_facet BOOLEAN NOT NULL DEFAULT true,
    position INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE attribute_text (
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    locale_id    INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    label        TEXT NOT NULL,
    PRIMARY KEY (attribute_id, locale_id)
);
CREATE INDEX attribute_text_by_locale ON attribute_text (locale_id);

CREATE TABLE attribute_option (
    id           INTEGER PRIMARY KEY,
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    code         TEXT NOT NULL,
    position     INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX attribute_option_by_attribute ON attribute_option (attribute_id);

CREATE TABLE attribute_option_text (
    option_id INTEGER NOT NULL REFERENCES attribute_option (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    label     TEXT NOT NULL,
    PRIMARY KEY (option_id, locale_id)
);
CREATE INDEX attribute_option_text_by_locale ON attribute_option_text (locale_id);

CREATE TABLE variant_option (
    variant_id INTEGER NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    option_id  INTEGER NOT NULL REFERENCES attribute_option (id) ON DELETE CASCADE,
    PRIMARY KEY (variant_id, option_id)
);
CREATE INDEX variant_option_by_option ON variant_option (option_id);

CREATE TABLE variant_number (
    variant_id   INTEGER NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    amount       INTEGER NOT NULL,
    PRIMARY KEY (variant_id, attribute_id)
);
CREATE INDEX variant_number_by_attribute ON variant_number (attribute_id);

-- Prices: of a product, or of one of its variants

CREATE TABLE price_kind (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE -- DEFAULT, ORIGINAL
);

CREATE TABLE price (
    id            INTEGER PRIMARY KEY,
    product_id    INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    variant_id    INTEGER REFERENCES variant (id) ON DELETE CASCADE,
    store_id      INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    currency_id   INTEGER NOT NULL REFERENCES currency (id) ON DELETE CASCADE,
    price_kind_id INTEGER NOT NULL REFERENCES price_kind (id) ON DELETE CASCADE,
    mode          TEXT NOT NULL, -- net, gross
    amount        NUMERIC(10,2) NOT NULL
);
CREATE INDEX price_by_product ON price (product_id, store_id);
CREATE INDEX price_by_variant ON price (variant_id);
CREATE INDEX price_by_store ON price (store_id);
CREATE INDEX price_by_currency ON price (currency_id);
CREATE INDEX price_by_kind ON price (price_kind_id);

-- From this quantity on, another amount.
CREATE TABLE price_volume (
    price_id INTEGER NOT NULL REFERENCES price (id) ON DELETE CASCADE,
    quantity INTEGER NOT NULL,
    amount   NUMERIC(10,2) NOT NULL,
    PRIMARY KEY (price_id, quantity)
);

-- Stock

CREATE TABLE warehouse (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

CREATE TABLE warehouse_store (
    warehouse_id INTEGER NOT NULL REFERENCES warehouse (id) ON DELETE CASCADE,
    store_id     INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    PRIMARY KEY (warehouse_id, store_id)
);
CREATE INDEX warehouse_store_by_store ON warehouse_store (store_id);

CREATE TABLE stock (
    id           INTEGER PRIMARY KEY,
    variant_id   INTEGER NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    warehouse_id INTEGER NOT NULL REFERENCES warehouse (id) ON DELETE CASCADE,
    quantity     INTEGER NOT NULL,
    is_endless   BOOLEAN NOT NULL DEFAULT false
);
CREATE INDEX stock_by_variant ON stock (variant_id);
CREATE INDEX stock_by_warehouse ON stock (warehouse_id);

-- Images: named sets, for all languages or for one

CREATE TABLE image (
    id    INTEGER PRIMARY KEY,
    small TEXT NOT NULL,
    large TEXT NOT NULL
);

CREATE TABLE image_set (
    id         INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    locale_id  INTEGER REFERENCES locale (id) ON DELETE CASCADE,
    name       TEXT NOT NULL
);
CREATE INDEX image_set_by_product ON image_set (product_id);
CREATE INDEX image_set_by_locale ON image_set (locale_id);

CREATE TABLE image_set_image (
    image_set_id INTEGER NOT NULL REFERENCES image_set (id) ON DELETE CASCADE,
    image_id     INTEGER NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    position     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (image_set_id, image_id)
);
CREATE INDEX image_set_image_by_image ON image_set_image (image_id);

-- Pages

CREATE TABLE page (
    id          INTEGER PRIMARY KEY,
    code        TEXT NOT NULL UNIQUE,
    template    TEXT NOT NULL,
    is_active   BOOLEAN NOT NULL DEFAULT true,
    valid_from  DATETIME,
    valid_until DATETIME
);

CREATE TABLE page_store (
    page_id  INTEGER NOT NULL REFERENCES page (id) ON DELETE CASCADE,
    store_id INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    PRIMARY KEY (page_id, store_id)
);
CREATE INDEX page_store_by_store ON page_store (store_id);

CREATE TABLE page_text (
    page_id   INTEGER NOT NULL REFERENCES page (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    title     TEXT NOT NULL,
    summary   TEXT,
    PRIMARY KEY (page_id, locale_id)
);
CREATE INDEX page_text_by_locale ON page_text (locale_id);

CREATE TABLE page_block (
    id          INTEGER PRIMARY KEY,
    page_id     INTEGER NOT NULL REFERENCES page (id) ON DELETE CASCADE,
    placeholder TEXT NOT NULL,
    position    INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX page_block_by_page ON page_block (page_id);

CREATE TABLE page_block_text (
    block_id  INTEGER NOT NULL REFERENCES page_block (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    content   TEXT NOT NULL,
    PRIMARY KEY (block_id, locale_id)
);
CREATE INDEX page_block_text_by_locale ON page_block_text (locale_id);

-- Addresses: each leads to one thing, or elsewhere

CREATE TABLE url (
    id          INTEGER PRIMARY KEY,
    path        TEXT NOT NULL UNIQUE,
    locale_id   INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    product_id  INTEGER REFERENCES product (id) ON DELETE CASCADE,
    category_id INTEGER REFERENCES category (id) ON DELETE CASCADE,
    page_id     INTEGER REFERENCES page (id) ON DELETE CASCADE
);
CREATE INDEX url_by_locale ON url (locale_id);
CREATE INDEX url_by_product ON url (product_id);
CREATE INDEX url_by_category ON url (category_id);
CREATE INDEX url_by_page ON url (page_id);

CREATE TABLE redirect (
    url_id  INTEGER PRIMARY KEY REFERENCES url (id) ON DELETE CASCADE,
    to_path TEXT NOT NULL,
    status  INTEGER NOT NULL DEFAULT 301
);

-- Translations of the storefront's own words

CREATE TABLE phrase (
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    is_active BOOLEAN NOT NULL DEFAULT true
);

CREATE TABLE translation (
    id        INTEGER PRIMARY KEY,
    phrase_id INTEGER NOT NULL REFERENCES phrase (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    content   TEXT NOT NULL,
    UNIQUE (phrase_id, locale_id)
);
CREATE INDEX translation_by_locale ON translation (locale_id);

-- Menus

CREATE TABLE navigation (
    id        INTEGER PRIMARY KEY,
    code      TEXT NOT NULL UNIQUE,
    is_active BOOLEAN NOT NULL DEFAULT true
);

CREATE TABLE navigation_node (
    id            INTEGER PRIMARY KEY,
    navigation_id INTEGER NOT NULL REFERENCES navigation (id) ON DELETE CASCADE,
    parent_id     INTEGER REFERENCES navigation_node (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL DEFAULT 0,
    is_active     BOOLEAN NOT NULL DEFAULT true,
    category_id   INTEGER REFERENCES category (id) ON DELETE SET NULL,
    page_id       INTEGER REFERENCES page (id) ON DELETE SET NULL,
    link          TEXT
);
CREATE INDEX navigation_node_by_navigation ON navigation_node (navigation_id);
CREATE INDEX navigation_node_by_parent ON navigation_node (parent_id);
CREATE INDEX navigation_node_by_category ON navigation_node (category_id);
CREATE INDEX navigation_node_by_page ON navigation_node (page_id);

CREATE TABLE navigation_node_text (
    node_id   INTEGER NOT NULL REFERENCES navigation_node (id) ON DELETE CASCADE,
    locale_id INTEGER NOT NULL REFERENCES locale (id) ON DELETE CASCADE,
    title     TEXT NOT NULL,
    PRIMARY KEY (node_id, locale_id)
);
CREATE INDEX navigation_node_text_by_locale ON navigation_node_text (locale_id);
