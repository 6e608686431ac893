-- Twenty products. Runs on PostgreSQL and SQLite, in empty tables: ids are given out in the order of the rows.
BEGIN;

INSERT INTO store (code) VALUES
    ('DE'),
    ('AT'),
    ('US');

INSERT INTO locale (code) VALUES
    ('de_DE'),
    ('en_US');

INSERT INTO store_locale (store_id, locale_id) VALUES
    (1, 1), (1, 2), (2, 1), (3, 2);

INSERT INTO brand (name, logo_url) VALUES
    ('Nordkamm', 'https://img.example/brand/1.svg'),
    ('Talwind', 'https://img.example/brand/2.svg'),
    ('Hearth & Pine', 'https://img.example/brand/3.svg'),
    ('O''Hara', 'https://img.example/brand/4.svg'),
    ('Kiesel', NULL),
    ('Lumen', 'https://img.example/brand/6.svg');

INSERT INTO category (name, parent_id, position) VALUES
    ('Outdoor', NULL, 1),
    ('Kitchen', NULL, 2),
    ('Office', NULL, 3),
    ('Tents', 1, 1),
    ('Backpacks', 1, 2),
    ('Lamps', 1, 3),
    ('Pots', 2, 1),
    ('Knives', 2, 2),
    ('Cups', 2, 3),
    ('Chairs', 3, 1),
    ('Notebooks', 3, 2);

INSERT INTO product (sku, name, description, brand_id, is_active, attributes, created_at) VALUES
    ('TENT-2', 'Two-person tent Fjord', 'Pitched in minutes, dry for years: double wall, taped seams, and enough guy lines for a windy ridge.', 1, true, '{"colour": "green", "weight_g": 2150, "seasons": 3}', '2025-02-03 08:30:00'),
    ('TENT-4', 'Four-person tent Fjord', 'Pitched in minutes, dry for years: double wall, taped seams, and enough guy lines for a windy ridge.', 1, true, '{"colour": "green", "weight_g": 4300, "seasons": 3}', '2025-02-03 08:31:00'),
    ('TENT-1', 'Bivouac tent Solo', 'Pitched in minutes, dry for years: double wall, taped seams, and enough guy lines for a windy ridge.', 2, true, '{"colour": "grey", "weight_g": 980, "seasons": 4}', '2025-02-10 10:00:00'),
    ('PACK-20', 'Day pack 20 l', 'A back that breathes, straps that stay, and pockets where hands look for them.', 2, true, '{"colour": "blue", "litres": 20}', '2025-02-11 09:15:00'),
    ('PACK-45', 'Trekking pack 45 l', 'A back that breathes, straps that stay, and pockets where hands look for them.', 2, true, '{"colour": "red", "litres": 45, "rain_cover": true}', '2025-02-11 09:16:00'),
    ('PACK-65', 'Expedition pack 65 l', 'A back that breathes, straps that stay, and pockets where hands look for them.', 1, true, '{"colour": "black", "litres": 65, "rain_cover": true}', '2025-02-11 09:17:00'),
    ('LAMP-H', 'Head lamp Aurora', 'Light that lasts a whole night out, charged over a cable that every household has.', 6, true, '{"lumen": 400, "rechargeable": true}', '2025-03-01 07:00:00'),
    ('LAMP-C', 'Camp lantern Ember', 'Light that lasts a whole night out, charged over a cable that every household has.', 6, true, '{"lumen": 180, "rechargeable": true, "colours": ["amber", "white"]}', '2025-03-01 07:05:00'),
    ('POT-C5', 'Cast-iron pot 5 l', 'Heavy, even, and made to be handed down; goes from the hob to the oven to the table.', 3, true, '{"litres": 5, "induction": true}', '2025-03-04 14:20:00'),
    ('POT-S3', 'Steel pot 3 l', 'Heavy, even, and made to be handed down; goes from the hob to the oven to the table.', 3, true, '{"litres": 3, "induction": true}', '2025-03-04 14:21:00'),
    ('KNIFE-CHEF', 'Chef''s knife 20 cm', 'Forged in one piece, sharpened by hand, balanced where the finger rests.', 4, true, '{"blade_cm": 20, "steel": "X50CrMoV15"}', '2025-03-12 11:11:11'),
    ('KNIFE-PARE', 'Paring knife 9 cm', 'Forged in one piece, sharpened by hand, balanced where the finger rests.', 4, true, '{"blade_cm": 9, "steel": "X50CrMoV15"}', '2025-03-12 11:12:00'),
    ('KNIFE-BREAD', 'Bread knife 24 cm', 'Forged in one piece, sharpened by hand, balanced where the finger rests.', 4, true, '{"blade_cm": 24, "serrated": true}', '2025-03-12 11:13:00'),
    ('CUP-ENAMEL', 'Enamel cup 350 ml', 'For coffee at the desk and soup at the fire. Dishwashers are welcome.', 3, true, '{"ml": 350, "colour": "white"}', '2025-04-01 06:45:00'),
    ('CUP-STONE', 'Stoneware cup 250 ml', 'For coffee at the desk and soup at the fire. Dishwashers are welcome.', 5, true, '{"ml": 250, "colour": "sand"}', '2025-04-01 06:46:00'),
    ('CHAIR-DESK', 'Desk chair Arc', 'Moves when you move. Every part can be replaced with one key.', 5, true, '{"colour": "black", "armrests": true, "max_kg": 130}', '2025-04-15 16:00:00'),
    ('CHAIR-STOOL', 'Standing stool Arc', 'Moves when you move. Every part can be replaced with one key.', 5, true, '{"colour": "oak", "max_kg": 110}', '2025-04-15 16:05:00'),
    ('NOTE-A5', 'Notebook A5, dotted', 'Sewn binding that lies flat, paper that takes ink without bleeding, two ribbons.', NULL, true, '{"pages": 192, "ruling": "dotted"}', '2025-05-02 12:00:00'),
    ('NOTE-A4', 'Notebook A4, lined', 'Sewn binding that lies flat, paper that takes ink without bleeding, two ribbons.', NULL, true, '{"pages": 144, "ruling": "lined"}', '2025-05-02 12:01:00'),
    ('NOTE-OLD', 'Notebook A6, out of print', 'Sewn binding that lies flat, paper that takes ink without bleeding, two ribbons.', NULL, false, '{}', '2024-05-02 12:02:00');

INSERT INTO product_category (product_id, category_id, position) VALUES
    (1, 4, 1), (1, 1, 2), (2, 4, 1), (3, 4, 1), (4, 5, 1), (5, 5, 1), (5, 1, 2), (6, 5, 1), (7, 6, 1), (8, 6, 1),
    (8, 1, 2), (9, 7, 1), (10, 7, 1), (11, 8, 1), (12, 8, 1), (13, 8, 1), (14, 9, 1), (14, 1, 2), (15, 9, 1),
    (16, 10, 1), (17, 10, 1), (18, 11, 1), (19, 11, 1), (20, 11, 1);

INSERT INTO product_store (product_id, store_id) VALUES
    (1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (4, 1), (4, 2), (4, 3), (5, 1), (5, 2), (5, 3),
    (6, 1), (6, 3), (7, 1), (7, 2), (7, 3), (8, 1), (8, 2), (8, 3), (9, 1), (9, 2), (9, 3), (10, 1), (10, 2),
    (11, 1), (11, 2), (11, 3), (12, 1), (12, 2), (12, 3), (13, 3), (14, 1), (14, 2), (14, 3), (15, 1), (15, 2),
    (16, 1), (16, 2), (16, 3), (17, 1), (17, 2), (18, 1), (18, 2), (18, 3), (19, 1), (19, 2), (19, 3), (20, 1);

INSERT INTO product_text (product_id, locale_id, name, description) VALUES
    (1, 1, 'Zweipersonenzelt Fjord', 'In Minuten aufgebaut, auf Jahre dicht: doppelwandig, mit getapten Nähten und genug Leinen für einen windigen Grat.'),
    (2, 1, 'Vierpersonenzelt Fjord', 'In Minuten aufgebaut, auf Jahre dicht: doppelwandig, mit getapten Nähten und genug Leinen für einen windigen Grat.'),
    (3, 1, 'Biwakzelt Solo', 'In Minuten aufgebaut, auf Jahre dicht: doppelwandig, mit getapten Nähten und genug Leinen für einen windigen Grat.'),
    (4, 1, 'Tagesrucksack 20 l', 'Ein Rücken, der atmet, Gurte, die halten, und Taschen dort, wo die Hand sie sucht.'),
    (5, 1, 'Trekkingrucksack 45 l', 'Ein Rücken, der atmet, Gurte, die halten, und Taschen dort, wo die Hand sie sucht.'),
    (7, 1, 'Stirnlampe Aurora', NULL),
    (8, 1, 'Campinglaterne Ember', 'Licht für eine ganze Nacht draußen, geladen über ein Kabel, das jeder Haushalt hat.'),
    (9, 1, 'Gusseiserner Topf 5 l', 'Schwer, gleichmäßig und zum Vererben gemacht; vom Herd in den Ofen auf den Tisch.'),
    (10, 1, 'Edelstahltopf 3 l', 'Schwer, gleichmäßig und zum Vererben gemacht; vom Herd in den Ofen auf den Tisch.'),
    (11, 1, 'Kochmesser 20 cm', 'Aus einem Stück geschmiedet, von Hand geschärft, im Gleichgewicht, wo der Finger liegt.'),
    (12, 1, 'Schälmesser 9 cm', 'Aus einem Stück geschmiedet, von Hand geschärft, im Gleichgewicht, wo der Finger liegt.'),
    (14, 1, 'Emaillebecher 350 ml', NULL),
    (15, 1, 'Steinzeugbecher 250 ml', 'Für Kaffee am Schreibtisch und Suppe am Feuer. Die Spülmaschine ist willkommen.'),
    (16, 1, 'Bürostuhl Arc', 'Bewegt sich, wenn du dich bewegst. Jedes Teil lässt sich mit einem Schlüssel tauschen.'),
    (17, 1, 'Stehhocker Arc', 'Bewegt sich, wenn du dich bewegst. Jedes Teil lässt sich mit einem Schlüssel tauschen.'),
    (18, 1, 'Notizbuch A5, gepunktet', 'Fadenheftung, die flach liegt, Papier, auf dem Tinte nicht ausblutet, zwei Lesebänder.'),
    (19, 1, 'Notizbuch A4, liniert', 'Fadenheftung, die flach liegt, Papier, auf dem Tinte nicht ausblutet, zwei Lesebänder.'),
    (20, 1, 'Notizbuch A6, vergriffen', 'Fadenheftung, die flach liegt, Papier, auf dem Tinte nicht ausblutet, zwei Lesebänder.');

INSERT INTO price (product_id, store_id, currency, kind, amount) VALUES
    (1, 1, 'EUR', 'net', 249.00), (1, 1, 'EUR', 'gross', 296.31), (1, 1, 'CHF', 'net', 236.55),
    (1, 1, 'CHF', 'gross', 255.47), (1, 2, 'EUR', 'net', 253.98), (1, 2, 'EUR', 'gross', 304.78),
    (1, 3, 'USD', 'net', 273.90), (1, 3, 'USD', 'gross', 273.90), (2, 1, 'EUR', 'net', 389.00),
    (2, 1, 'EUR', 'gross', 462.91), (2, 1, 'CHF', 'net', 369.55), (2, 1, 'CHF', 'gross', 399.11),
    (2, 2, 'EUR', 'net', 396.78), (2, 2, 'EUR', 'gross', 476.14), (2, 3, 'USD', 'net', 427.90),
    (2, 3, 'USD', 'gross', 427.90), (3, 1, 'EUR', 'net', 199.50), (3, 1, 'EUR', 'gross', 237.41),
    (3, 1, 'CHF', 'net', 189.52), (3, 1, 'CHF', 'gross', 204.68), (3, 2, 'EUR', 'net', 203.49),
    (3, 2, 'EUR', 'gross', 244.19), (4, 1, 'EUR', 'net', 59.90), (4, 1, 'EUR', 'gross', 71.28),
    (4, 1, 'CHF', 'net', 56.90), (4, 1, 'CHF', 'gross', 61.45), (4, 2, 'EUR', 'net', 61.09),
    (4, 2, 'EUR', 'gross', 73.31), (4, 3, 'USD', 'net', 65.89), (4, 3, 'USD', 'gross', 65.89),
    (5, 1, 'EUR', 'net', 129.90), (5, 1, 'EUR', 'gross', 154.58), (5, 1, 'CHF', 'net', 123.40),
    (5, 1, 'CHF', 'gross', 133.27), (5, 2, 'EUR', 'net', 132.49), (5, 2, 'EUR', 'gross', 158.99),
    (5, 3, 'USD', 'net', 142.89), (5, 3, 'USD', 'gross', 142.89), (6, 1, 'EUR', 'net', 189.90),
    (6, 1, 'EUR', 'gross', 225.98), (6, 1, 'CHF', 'net', 180.40), (6, 1, 'CHF', 'gross', 194.83),
    (6, 3, 'USD', 'net', 208.89), (6, 3, 'USD', 'gross', 208.89), (7, 1, 'EUR', 'net', 44.90),
    (7, 1, 'EUR', 'gross', 53.43), (7, 1, 'CHF', 'net', 42.65), (7, 1, 'CHF', 'gross', 46.06),
    (7, 2, 'EUR', 'net', 45.79), (7, 2, 'EUR', 'gross', 54.95), (7, 3, 'USD', 'net', 49.39),
    (7, 3, 'USD', 'gross', 49.39), (8, 1, 'EUR', 'net', 34.90), (8, 1, 'EUR', 'gross', 41.53),
    (8, 1, 'CHF', 'net', 33.15), (8, 1, 'CHF', 'gross', 35.80), (8, 2, 'EUR', 'net', 35.59),
    (8, 2, 'EUR', 'gross', 42.71), (8, 3, 'USD', 'net', 38.39), (8, 3, 'USD', 'gross', 38.39),
    (9, 1, 'EUR', 'net', 89.00), (9, 1, 'EUR', 'gross', 105.91), (9, 1, 'CHF', 'net', 84.55),
    (9, 1, 'CHF', 'gross', 91.31), (9, 2, 'EUR', 'net', 90.78), (9, 2, 'EUR', 'gross', 108.94),
    (9, 3, 'USD', 'net', 97.90), (9, 3, 'USD', 'gross', 97.90), (10, 1, 'EUR', 'net', 49.00),
    (10, 1, 'EUR', 'gross', 58.31), (10, 1, 'CHF', 'net', 46.55), (10, 1, 'CHF', 'gross', 50.27),
    (10, 2, 'EUR', 'net', 49.98), (10, 2, 'EUR', 'gross', 59.98), (11, 1, 'EUR', 'net', 79.50),
    (11, 1, 'EUR', 'gross', 94.61), (11, 1, 'CHF', 'net', 75.52), (11, 1, 'CHF', 'gross', 81.56),
    (11, 2, 'EUR', 'net', 81.09), (11, 2, 'EUR', 'gross', 97.31), (11, 3, 'USD', 'net', 87.45),
    (11, 3, 'USD', 'gross', 87.45), (12, 1, 'EUR', 'net', 29.50), (12, 1, 'EUR', 'gross', 35.11),
    (12, 1, 'CHF', 'net', 28.02), (12, 1, 'CHF', 'gross', 30.26), (12, 2, 'EUR', 'net', 30.09),
    (12, 2, 'EUR', 'gross', 36.11), (12, 3, 'USD', 'net', 32.45), (12, 3, 'USD', 'gross', 32.45),
    (13, 3, 'USD', 'net', 59.95), (13, 3, 'USD', 'gross', 59.95), (14, 1, 'EUR', 'net', 12.90),
    (14, 1, 'EUR', 'gross', 15.35), (14, 1, 'CHF', 'net', 12.25), (14, 1, 'CHF', 'gross', 13.23),
    (14, 2, 'EUR', 'net', 13.15), (14, 2, 'EUR', 'gross', 15.78), (14, 3, 'USD', 'net', 14.19),
    (14, 3, 'USD', 'gross', 14.19), (15, 1, 'EUR', 'net', 15.90), (15, 1, 'EUR', 'gross', 18.92),
    (15, 1, 'CHF', 'net', 15.10), (15, 1, 'CHF', 'gross', 16.31), (15, 2, 'EUR', 'net', 16.21),
    (15, 2, 'EUR', 'gross', 19.45), (16, 1, 'EUR', 'net', 329.00), (16, 1, 'EUR', 'gross', 391.51),
    (16, 1, 'CHF', 'net', 312.55), (16, 1, 'CHF', 'gross', 337.55), (16, 2, 'EUR', 'net', 335.58),
    (16, 2, 'EUR', 'gross', 402.70), (16, 3, 'USD', 'net', 361.90), (16, 3, 'USD', 'gross', 361.90),
    (17, 1, 'EUR', 'net', 189.00), (17, 1, 'EUR', 'gross', 224.91), (17, 1, 'CHF', 'net', 179.55),
    (17, 1, 'CHF', 'gross', 193.91), (17, 2, 'EUR', 'net', 192.78), (17, 2, 'EUR', 'gross', 231.34),
    (18, 1, 'EUR', 'net', 11.90), (18, 1, 'EUR', 'gross', 14.16), (18, 1, 'CHF', 'net', 11.30),
    (18, 1, 'CHF', 'gross', 12.20), (18, 2, 'EUR', 'net', 12.13), (18, 2, 'EUR', 'gross', 14.56),
    (18, 3, 'USD', 'net', 13.09), (18, 3, 'USD', 'gross', 13.09), (19, 1, 'EUR', 'net', 14.90),
    (19, 1, 'EUR', 'gross', 17.73), (19, 1, 'CHF', 'net', 14.15), (19, 1, 'CHF', 'gross', 15.28),
    (19, 2, 'EUR', 'net', 15.19), (19, 2, 'EUR', 'gross', 18.23), (19, 3, 'USD', 'net', 16.39),
    (19, 3, 'USD', 'gross', 16.39), (20, 1, 'EUR', 'net', 6.90), (20, 1, 'EUR', 'gross', 8.21),
    (20, 1, 'CHF', 'net', 6.55), (20, 1, 'CHF', 'gross', 7.07);

INSERT INTO image (product_id, url, position) VALUES
    (1, 'https://img.example/tent-2/1.jpg', 1), (1, 'https://img.example/tent-2/2.jpg', 2),
    (2, 'https://img.example/tent-4/1.jpg', 1), (2, 'https://img.example/tent-4/2.jpg', 2),
    (2, 'https://img.example/tent-4/3.jpg', 3), (3, 'https://img.example/tent-1/1.jpg', 1),
    (3, 'https://img.example/tent-1/2.jpg', 2), (3, 'https://img.example/tent-1/3.jpg', 3),
    (3, 'https://img.example/tent-1/4.jpg', 4), (4, 'https://img.example/pack-20/1.jpg', 1),
    (5, 'https://img.example/pack-45/1.jpg', 1), (5, 'https://img.example/pack-45/2.jpg', 2),
    (6, 'https://img.example/pack-65/1.jpg', 1), (6, 'https://img.example/pack-65/2.jpg', 2),
    (6, 'https://img.example/pack-65/3.jpg', 3), (7, 'https://img.example/lamp-h/1.jpg', 1),
    (7, 'https://img.example/lamp-h/2.jpg', 2), (7, 'https://img.example/lamp-h/3.jpg', 3),
    (7, 'https://img.example/lamp-h/4.jpg', 4), (8, 'https://img.example/lamp-c/1.jpg', 1),
    (9, 'https://img.example/pot-c5/1.jpg', 1), (9, 'https://img.example/pot-c5/2.jpg', 2),
    (10, 'https://img.example/pot-s3/1.jpg', 1), (10, 'https://img.example/pot-s3/2.jpg', 2),
    (10, 'https://img.example/pot-s3/3.jpg', 3), (11, 'https://img.example/knife-chef/1.jpg', 1),
    (11, 'https://img.example/knife-chef/2.jpg', 2), (11, 'https://img.example/knife-chef/3.jpg', 3),
    (11, 'https://img.example/knife-chef/4.jpg', 4), (12, 'https://img.example/knife-pare/1.jpg', 1),
    (13, 'https://img.example/knife-bread/1.jpg', 1), (13, 'https://img.example/knife-bread/2.jpg', 2),
    (14, 'https://img.example/cup-enamel/1.jpg', 1), (14, 'https://img.example/cup-enamel/2.jpg', 2),
    (14, 'https://img.example/cup-enamel/3.jpg', 3), (15, 'https://img.example/cup-stone/1.jpg', 1),
    (15, 'https://img.example/cup-stone/2.jpg', 2), (15, 'https://img.example/cup-stone/3.jpg', 3),
    (15, 'https://img.example/cup-stone/4.jpg', 4), (16, 'https://img.example/chair-desk/1.jpg', 1),
    (17, 'https://img.example/chair-stool/1.jpg', 1), (17, 'https://img.example/chair-stool/2.jpg', 2),
    (18, 'https://img.example/note-a5/1.jpg', 1), (18, 'https://img.example/note-a5/2.jpg', 2),
    (18, 'https://img.example/note-a5/3.jpg', 3), (19, 'https://img.example/note-a4/1.jpg', 1),
    (19, 'https://img.example/note-a4/2.jpg', 2), (19, 'https://img.example/note-a4/3.jpg', 3),
    (19, 'https://img.example/note-a4/4.jpg', 4), (20, 'https://img.example/note-old/1.jpg', 1);

INSERT INTO stock (product_id, quantity) VALUES
    (1, 14), (2, 6), (3, 0), (4, 80), (5, 33), (6, 12), (7, 150), (8, 95), (9, 22), (10, 41), (11, 64), (12, 120),
    (13, 18), (14, 300), (15, 210), (16, 9), (17, 4), (18, 500), (19, 260), (20, 0);

COMMIT;
