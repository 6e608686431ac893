SELECT 'sku:' || replace(replace(replace(replace(replace(sku, '%', '%25'), ':', '%3A'), '{', '%7B'), '}', '%7D'), ' ', '%20') AS key,
       jsonb_build_object('id', id, 'stamp', stamp)::text AS body
FROM product
