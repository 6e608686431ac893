SELECT 'agent:' || replace(replace(replace(e.last_name, '%', '%25'), ':', '%3A'), ' ', '%20') || ':' || e.employee_id
           AS key,
       jsonb_build_object(
           'name', e.last_name,
           'customers', coalesce(
               (SELECT jsonb_agg(jsonb_build_object('id', c.customer_id, 'name', c.last_name)
                                 ORDER BY c.last_name, c.first_name DESC, c.customer_id)
                FROM customer c WHERE c.support_rep_id = e.employee_id),
               '[]'))::text AS body
FROM employee e
WHERE e.title = 'Sales Support Agent'
