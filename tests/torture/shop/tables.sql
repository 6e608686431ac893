CREATE TABLE brand (id bigint PRIMARY KEY, name text NOT NULL, stamp bigint NOT NULL DEFAULT 0);
CREATE TABLE category (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE locale (id bigint PRIMARY KEY, code text NOT NULL UNIQUE);
CREATE TABLE product (
    id bigint PRIMARY KEY,
    sku text NOT NULL UNIQUE,
    brand_id bigint NOT NULL REFERENCES brand (id),
    price numeric(12, 2),
    big bigint,
    notes text,
    stamp bigint NOT NULL DEFAULT 0
);
CREATE INDEX ON product (brand_id);
CREATE TABLE product_category (
    product_id bigint NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    category_id bigint NOT NULL REFERENCES category (id),
    position integer NOT NULL,
    PRIMARY KEY (product_id, category_id)
);
CREATE INDEX ON product_category (category_id);
CREATE TABLE product_text (
    product_id bigint NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    locale_id bigint NOT NULL REFERENCES locale (id),
    name text,
    stamp bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (product_id, locale_id)
);
CREATE TABLE stock (
    id bigint PRIMARY KEY,
    product_id bigint NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    amount bigint NOT NULL,
    weight double precision NOT NULL DEFAULT 1.5
);
CREATE INDEX ON stock (product_id);
CREATE TABLE orders (id bigint PRIMARY KEY, number text NOT NULL, stamp bigint NOT NULL DEFAULT 0);
CREATE TABLE line (
    id bigint PRIMARY KEY,
    order_id bigint NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id bigint REFERENCES product (id) ON DELETE SET NULL,
    amount bigint NOT NULL
);
CREATE INDEX ON line (order_id);
CREATE INDEX ON line (product_id);

INSERT INTO locale VALUES (1, 'en'), (2, 'de');
INSERT INTO category SELECT n, 'category ' || n FROM generate_series(1, 40) AS n;
INSERT INTO brand SELECT n, 'brand ' || n FROM generate_series(0, $BRANDS) AS n;
-- Brand 1 is wide: a fifth of the products, at most 500.
INSERT INTO product
SELECT n, 'SKU-' || n, CASE WHEN n % 5 = 0 AND n <= 2500 THEN 1 ELSE 1 + n % $BRANDS END, n * 1.25, n, 'notes', 0
FROM generate_series(1, $PRODUCTS) AS n;
-- Beacons: written by one session, one after the other, so that it is known what must be there when.
INSERT INTO product SELECT 1000000 + n, 'BEACON-' || n, 0, 1, n, '', 0 FROM generate_series(0, $BEACONS - 1) AS n;
-- Poison: for a while its price is no number, or its weight more than a number holds.
INSERT INTO product SELECT 2000000 + n, 'POISON-' || n, 0, 1, n, '', 0 FROM generate_series(0, 2 * $POISONS - 1) AS n;
-- Probes: in no category, so that nothing but what aims at them reaches them.
INSERT INTO product SELECT 3000000 + n, 'PROBE-' || n, 0, 1, n, '', 0 FROM generate_series(0, $PROBES - 1) AS n;
INSERT INTO product_category
SELECT id, 1 + (id * 7 + p * 3) % 40, p FROM product, generate_series(0, 2) AS p WHERE id < 3000000;
INSERT INTO product_text SELECT id, 1 + id % 2, 'text ' || id, 0 FROM product;
INSERT INTO stock SELECT id * 2 + p, id, 10 + p FROM product, generate_series(0, 1) AS p;
INSERT INTO orders SELECT n, 'order ' || n, 0 FROM generate_series(1, $ORDERS) AS n;
INSERT INTO line SELECT n * 3 + p, n, 1 + (n * 13 + p) % $PRODUCTS, p + 1 FROM generate_series(1, $ORDERS) AS n, generate_series(0, 2) AS p;
