SELECT 'customer:' || c.CustomerId AS key,
       json_object(
           'id', c.CustomerId,
           'name', json_object('first', c.FirstName, 'last', c.LastName),
           'company', c.Company,
           'contact', json_object('email', c.Email, 'phone', c.Phone, 'fax', c.Fax),
           'address', json_object('street', c.Address, 'city', c.City, 'state', c.State,
                                  'country', c.Country, 'postal_code', c.PostalCode),
           'support', json(CASE WHEN e.EmployeeId IS NOT NULL THEN
               json_object('id', e.EmployeeId, 'name', e.LastName, 'manager', m.LastName) END),
           'invoices', json(
               (SELECT json_group_array(
                           json_object(
                               'id', i.InvoiceId,
                               'date', strftime('%Y-%m-%dT%H:%M:%S', i.InvoiceDate),
                               'total', json(printf('%.2f', i.Total)),
                               'lines', json(
                                   (SELECT json_group_array(
                                               json_object('id', l.InvoiceLineId, 'track', t.Name,
                                                           'price', json(printf('%.2f', l.UnitPrice)),
                                                           'quantity', l.Quantity)
                                               ORDER BY l.InvoiceLineId)
                                    FROM InvoiceLine l
                                    JOIN Track t ON t.TrackId = l.TrackId
                                    WHERE l.InvoiceId = i.InvoiceId)))
                           ORDER BY i.InvoiceDate DESC, i.InvoiceId)
                FROM Invoice i
                WHERE i.CustomerId = c.CustomerId)),
           'home_invoices',
               (SELECT count(*) FROM Invoice i
                WHERE i.CustomerId = c.CustomerId AND i.BillingCountry = c.Country),
           'latest_totals', json(
               (SELECT json_group_array(json(printf('%.2f', newest.Total))
                                        ORDER BY newest.InvoiceDate DESC, newest.InvoiceId)
                FROM (SELECT i.Total, i.InvoiceDate, i.InvoiceId FROM Invoice i
                      WHERE i.CustomerId = c.CustomerId
                      ORDER BY i.InvoiceDate DESC, i.InvoiceId
                      LIMIT 3) newest)),
           'by_city', json(
               (SELECT json_group_object(country.name, json(country.cities))
                FROM (SELECT i.BillingCountry AS name,
                             json_group_object(i.BillingCity, json(printf('%.2f', i.Total))) AS cities
                      FROM Invoice i
                      WHERE i.CustomerId = c.CustomerId
                        AND i.BillingCountry IS NOT NULL AND i.BillingCity IS NOT NULL
                        AND NOT EXISTS (SELECT 1 FROM Invoice later
                                        WHERE later.CustomerId = i.CustomerId
                                          AND later.BillingCountry = i.BillingCountry
                                          AND later.BillingCity = i.BillingCity
                                          AND later.InvoiceId > i.InvoiceId)
                      GROUP BY i.BillingCountry) country))) AS body
FROM Customer c
LEFT JOIN Employee e ON e.EmployeeId = c.SupportRepId
LEFT JOIN Employee m ON m.EmployeeId = e.ReportsTo
