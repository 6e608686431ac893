SELECT 'product:' || l.code || ':' || p.id AS key,
       jsonb_build_object(
           'id', p.id,
           'stamp', p.stamp,
           'sku', p.sku,
           'price', p.price,
           'big', p.big,
           'notes', p.notes,
           'local', jsonb_build_object('name', t.name, 'stamp', t.stamp),
           'brand', (SELECT jsonb_build_object('name', b.name, 'stamp', b.stamp) FROM brand b WHERE b.id = p.brand_id),
           'categories', coalesce(
               (SELECT jsonb_agg(c.name ORDER BY j.position, c.id)
                FROM product_category j JOIN category c ON c.id = j.category_id
                WHERE j.product_id = p.id),
               '[]'),
           'stock', (SELECT coalesce(sum(s.amount), 0) FROM stock s WHERE s.product_id = p.id),
           'weight', (SELECT coalesce(sum(s.weight), 0) FROM stock s WHERE s.product_id = p.id))::text AS body
FROM product p
CROSS JOIN locale l
LEFT JOIN product_text t ON t.product_id = p.id AND t.locale_id = l.id
