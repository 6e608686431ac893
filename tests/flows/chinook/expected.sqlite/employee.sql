SELECT 'employee:' || e.EmployeeId AS key,
       json_object(
           'id', e.EmployeeId,
           'name', json_object('first', e.FirstName, 'last', e.LastName),
           'title', e.Title,
           'born', strftime('%Y-%m-%dT%H:%M:%S', e.BirthDate),
           'hired', strftime('%Y-%m-%dT%H:%M:%S', e.HireDate),
           'manager', json((SELECT json_object('id', m.EmployeeId, 'name', m.LastName)
                            FROM Employee m WHERE m.EmployeeId = e.ReportsTo)),
           'reports', json(
               (SELECT json_group_array(json_object('id', r.EmployeeId, 'title', r.Title, 'under', e.LastName)
                                        ORDER BY r.Title DESC NULLS LAST, r.EmployeeId)
                FROM Employee r WHERE r.ReportsTo = e.EmployeeId)),
           'customers', (SELECT count(*) FROM Customer c WHERE c.SupportRepId = e.EmployeeId),
           'customers_at_home', json(
               (SELECT json_group_array(c.LastName ORDER BY c.CustomerId)
                FROM Customer c WHERE c.SupportRepId = e.EmployeeId AND c.Country = e.Country))) AS body
FROM Employee e
