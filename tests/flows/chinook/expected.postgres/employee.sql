SELECT 'employee:' || e.employee_id AS key,
       jsonb_build_object(
           'id', e.employee_id,
           'name', jsonb_build_object('first', e.first_name, 'last', e.last_name),
           'title', e.title,
           'born', to_char(e.birth_date, 'YYYY-MM-DD"T"HH24:MI:SS'),
           'hired', to_char(e.hire_date, 'YYYY-MM-DD"T"HH24:MI:SS'),
           'manager', (SELECT jsonb_build_object('id', m.employee_id, 'name', m.last_name)
                       FROM employee m WHERE m.employee_id = e.reports_to),
           'reports', coalesce(
               (SELECT jsonb_agg(jsonb_build_object('id', r.employee_id, 'title', r.title, 'under', e.last_name)
                                 ORDER BY r.title DESC NULLS LAST, r.employee_id)
                FROM employee r WHERE r.reports_to = e.employee_id),
               '[]'),
           'customers', (SELECT count(*) FROM customer c WHERE c.support_rep_id = e.employee_id),
           'customers_at_home', coalesce(
               (SELECT jsonb_agg(c.last_name ORDER BY c.customer_id)
                FROM customer c WHERE c.support_rep_id = e.employee_id AND c.country = e.country),
               '[]'))::text AS body
FROM employee e
