SELECT 'order:' || o.id AS key,
       jsonb_build_object(
           'id', o.id,
           'stamp', o.stamp,
           'number', o.number,
           'total', (SELECT coalesce(sum(l.amount), 0) FROM line l WHERE l.order_id = o.id),
           'lines', coalesce(
               (SELECT jsonb_agg(jsonb_build_object('id', l.id, 'amount', l.amount, 'sku', p.sku) ORDER BY l.id)
                FROM line l LEFT JOIN product p ON p.id = l.product_id
                WHERE l.order_id = o.id),
               '[]'))::text AS body
FROM orders o
