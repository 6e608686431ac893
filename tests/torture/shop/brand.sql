SELECT 'brand:' || b.id AS key,
       jsonb_build_object(
           'id', b.id,
           'stamp', b.stamp,
           'name', b.name,
           'products', (SELECT count(*) FROM product p WHERE p.brand_id = b.id),
           'newest', coalesce(
               (SELECT jsonb_agg(newest.sku ORDER BY newest.id DESC)
                FROM (SELECT p.sku, p.id FROM product p WHERE p.brand_id = b.id ORDER BY p.id DESC LIMIT 3) newest),
               '[]'))::text AS body
FROM brand b
