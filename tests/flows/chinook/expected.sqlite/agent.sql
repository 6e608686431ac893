SELECT 'agent:' || replace(replace(replace(e.LastName, '%', '%25'), ':', '%3A'), ' ', '%20') || ':' || e.EmployeeId
           AS key,
       json_object(
           'name', e.LastName,
           'customers', json(
               (SELECT json_group_array(json_object('id', c.CustomerId, 'name', c.LastName)
                                        ORDER BY c.LastName, c.FirstName DESC, c.CustomerId)
                FROM Customer c WHERE c.SupportRepId = e.EmployeeId))) AS body
FROM Employee e
WHERE e.Title = 'Sales Support Agent'
