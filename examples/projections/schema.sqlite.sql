-- A catalogue that other systems copy: offers of one or more items, their categories, brands, attributes and options, for
-- several stores. Names are in any number of languages. No column, table or trigger in here is pubsync's.
-- The declared types matter: NUMERIC(10,2), BOOLEAN, DATETIME and JSON decide how values become JSON.

CREATE TABLE store (
    id       INTEGER PRIMARY KEY,
    code     TEXT NOT NULL UNIQUE,
    currency TEXT NOT NULL
);

CREATE TABLE language (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

CREATE TABLE store_language (
    store_id    INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    PRIMARY KEY (store_id, language_id)
);
CREATE INDEX store_language_by_language ON store_language (language_id);

-- Brands

CREATE TABLE brand (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    logo TEXT
);

CREATE TABLE brand_name (
    brand_id    INTEGER NOT NULL REFERENCES brand (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    PRIMARY KEY (brand_id, language_id)
);
CREATE INDEX brand_name_by_language ON brand_name (language_id);

-- Categories

CREATE TABLE category (
    id          INTEGER PRIMARY KEY,
    code        TEXT NOT NULL UNIQUE,
    parent_id   INTEGER REFERENCES category (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL DEFAULT 0,
    is_hidden   BOOLEAN NOT NULL DEFAULT false,
    valid_from  DATETIME,
    valid_until DATETIME
);
CREATE INDEX category_by_parent ON category (parent_id);

CREATE TABLE category_name (
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    PRIMARY KEY (category_id, language_id)
);
CREATE INDEX category_name_by_language ON category_name (language_id);

-- Attributes: details of offers

CREATE TABLE attribute (
    id        INTEGER PRIMARY KEY,
    code      TEXT NOT NULL UNIQUE,
    data_type TEXT NOT NULL,
    is_multi  BOOLEAN NOT NULL DEFAULT false
);

CREATE TABLE attribute_name (
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    language_id  INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    PRIMARY KEY (attribute_id, language_id)
);
CREATE INDEX attribute_name_by_language ON attribute_name (language_id);

-- Options: by what the items of an offer differ

CREATE TABLE option (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL UNIQUE
);

CREATE TABLE option_name (
    option_id   INTEGER NOT NULL REFERENCES option (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    PRIMARY KEY (option_id, language_id)
);
CREATE INDEX option_name_by_language ON option_name (language_id);

CREATE TABLE option_value (
    id        INTEGER PRIMARY KEY,
    option_id INTEGER NOT NULL REFERENCES option (id) ON DELETE CASCADE,
    code      TEXT NOT NULL,
    position  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX option_value_by_option ON option_value (option_id);

CREATE TABLE option_value_name (
    value_id    INTEGER NOT NULL REFERENCES option_value (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    PRIMARY KEY (value_id, language_id)
);
CREATE INDEX option_value_name_by_language ON option_value_name (language_id);

-- Fields: what a buyer fills in, such as an engraving

CREATE TABLE field (
    id            INTEGER PRIMARY KEY,
    code          TEXT NOT NULL UNIQUE,
    data_type     TEXT NOT NULL,
    is_required   BOOLEAN NOT NULL DEFAULT false,
    longest       INTEGER
);

CREATE TABLE field_name (
    field_id    INTEGER NOT NULL REFERENCES field (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    PRIMARY KEY (field_id, language_id)
);
CREATE INDEX field_name_by_language ON field_name (language_id);

-- Offers

CREATE TABLE offer (
    id              INTEGER PRIMARY KEY,
    code            TEXT NOT NULL UNIQUE,
    kind            TEXT NOT NULL, -- single, bundle
    brand_id        INTEGER REFERENCES brand (id) ON DELETE SET NULL,
    is_hidden       BOOLEAN NOT NULL DEFAULT false,
    minimum         INTEGER NOT NULL DEFAULT 1,
    available_from  DATETIME,
    available_until DATETIME
);
CREATE INDEX offer_by_brand ON offer (brand_id);

CREATE TABLE offer_name (
    offer_id    INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    language_id INTEGER NOT NULL REFERENCES language (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    description TEXT,
    PRIMARY KEY (offer_id, language_id)
);
CREATE INDEX offer_name_by_language ON offer_name (language_id);

CREATE TABLE offer_store (
    offer_id INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    store_id INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    PRIMARY KEY (offer_id, store_id)
);
CREATE INDEX offer_store_by_store ON offer_store (store_id);

CREATE TABLE offer_category (
    offer_id    INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    category_id INTEGER NOT NULL REFERENCES category (id) ON DELETE CASCADE,
    is_primary  BOOLEAN NOT NULL DEFAULT false,
    position    INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (offer_id, category_id)
);
CREATE INDEX offer_category_by_category ON offer_category (category_id);

-- In one language, or in all where it is null.
CREATE TABLE offer_detail (
    id           INTEGER PRIMARY KEY,
    offer_id     INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    attribute_id INTEGER NOT NULL REFERENCES attribute (id) ON DELETE CASCADE,
    language_id  INTEGER REFERENCES language (id) ON DELETE CASCADE,
    content      TEXT NOT NULL
);
CREATE INDEX offer_detail_by_offer ON offer_detail (offer_id);
CREATE INDEX offer_detail_by_attribute ON offer_detail (attribute_id);
CREATE INDEX offer_detail_by_language ON offer_detail (language_id);

CREATE TABLE offer_field (
    offer_id INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    field_id INTEGER NOT NULL REFERENCES field (id) ON DELETE CASCADE,
    position INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (offer_id, field_id)
);
CREATE INDEX offer_field_by_field ON offer_field (field_id);

CREATE TABLE item (
    id         INTEGER PRIMARY KEY,
    offer_id   INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    code       TEXT NOT NULL UNIQUE,
    weight     NUMERIC(8,3),
    is_digital BOOLEAN NOT NULL DEFAULT false,
    position   INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX item_by_offer ON item (offer_id);

CREATE TABLE item_option (
    item_id  INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    value_id INTEGER NOT NULL REFERENCES option_value (id) ON DELETE CASCADE,
    PRIMARY KEY (item_id, value_id)
);
CREATE INDEX item_option_by_value ON item_option (value_id);

CREATE TABLE item_price (
    item_id  INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    store_id INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    currency TEXT NOT NULL,
    quantity INTEGER NOT NULL DEFAULT 1,
    listed   NUMERIC(10,2) NOT NULL,
    sale     NUMERIC(10,2),
    PRIMARY KEY (item_id, store_id, currency, quantity)
);
CREATE INDEX item_price_by_store ON item_price (store_id);

-- A bundle and what is in it.
CREATE TABLE bundle_part (
    id        INTEGER PRIMARY KEY,
    bundle_id INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    item_id   INTEGER NOT NULL REFERENCES item (id) ON DELETE CASCADE,
    quantity  INTEGER NOT NULL DEFAULT 1,
    position  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX bundle_part_by_bundle ON bundle_part (bundle_id);
CREATE INDEX bundle_part_by_item ON bundle_part (item_id);

CREATE TABLE association (
    id        INTEGER PRIMARY KEY,
    store_id  INTEGER NOT NULL REFERENCES store (id) ON DELETE CASCADE,
    offer_id  INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    target_id INTEGER NOT NULL REFERENCES offer (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL, -- cross sell, upsell, accessory
    position  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX association_by_store ON association (store_id);
CREATE INDEX association_by_offer ON association (offer_id);
CREATE INDEX association_by_target ON association (target_id);
