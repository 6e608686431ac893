SELECT 'customer:' || c.customer_id AS key,
       jsonb_build_object(
           'id', c.customer_id,
           'name', jsonb_build_object('first', c.first_name, 'last', c.last_name),
           'company', c.company,
           'contact', jsonb_build_object('email', c.email, 'phone', c.phone, 'fax', c.fax),
           'address', jsonb_build_object('street', c.address, 'city', c.city, 'state', c.state,
                                         'country', c.country, 'postal_code', c.postal_code),
           'support', CASE WHEN e.employee_id IS NOT NULL THEN
               jsonb_build_object('id', e.employee_id, 'name', e.last_name, 'manager', m.last_name) END,
           'invoices', coalesce(
               (SELECT jsonb_agg(
                           jsonb_build_object(
                               'id', i.invoice_id,
                               'date', to_char(i.invoice_date, 'YYYY-MM-DD"T"HH24:MI:SS'),
                               'total', i.total,
                               'lines', coalesce(
                                   (SELECT jsonb_agg(
                                               jsonb_build_object('id', l.invoice_line_id, 'track', t.name,
                                                                  'price', l.unit_price, 'quantity', l.quantity)
                                               ORDER BY l.invoice_line_id)
                                    FROM invoice_line l
                                    JOIN track t ON t.track_id = l.track_id
                                    WHERE l.invoice_id = i.invoice_id),
                                   '[]'))
                           ORDER BY i.invoice_date DESC, i.invoice_id)
                FROM invoice i
                WHERE i.customer_id = c.customer_id),
               '[]'),
           'home_invoices',
               (SELECT count(*) FROM invoice i
                WHERE i.customer_id = c.customer_id AND i.billing_country = c.country),
           'latest_totals', coalesce(
               (SELECT jsonb_agg(newest.total ORDER BY newest.invoice_date DESC, newest.invoice_id)
                FROM (SELECT i.total, i.invoice_date, i.invoice_id FROM invoice i
                      WHERE i.customer_id = c.customer_id
                      ORDER BY i.invoice_date DESC, i.invoice_id
                      LIMIT 3) newest),
               '[]'),
           'by_city', coalesce(
               (SELECT jsonb_object_agg(country.name, country.cities)
                FROM (SELECT i.billing_country AS name, jsonb_object_agg(i.billing_city, i.total) AS cities
                      FROM invoice i
                      WHERE i.customer_id = c.customer_id
                        AND i.billing_country IS NOT NULL AND i.billing_city IS NOT NULL
                        AND NOT EXISTS (SELECT 1 FROM invoice later
                                        WHERE later.customer_id = i.customer_id
                                          AND later.billing_country = i.billing_country
                                          AND later.billing_city = i.billing_city
                                          AND later.invoice_id > i.invoice_id)
                      GROUP BY i.billing_country) country),
               '{}'))::text AS body
FROM customer c
LEFT JOIN employee e ON e.employee_id = c.support_rep_id
LEFT JOIN employee m ON m.employee_id = e.reports_to
