SELECT 'chart:' || g.GenreId || ':' || m.MediaTypeId AS key,
       json_object(
           'genre', g.Name,
           'media', m.Name,
           'tracks', (SELECT count(*) FROM Track t WHERE t.GenreId = g.GenreId AND t.MediaTypeId = m.MediaTypeId),
           'at_usual_price', (SELECT count(*) FROM Track t
                              WHERE t.GenreId = g.GenreId AND t.MediaTypeId = m.MediaTypeId AND t.UnitPrice = 0.99),
           'longest', json(
               (SELECT json_group_array(top.Name ORDER BY top.Milliseconds DESC, top.TrackId)
                FROM (SELECT t.Name, t.Milliseconds, t.TrackId FROM Track t
                      WHERE t.GenreId = g.GenreId AND t.MediaTypeId = m.MediaTypeId
                      ORDER BY t.Milliseconds DESC, t.TrackId
                      LIMIT 3) top))) AS body
FROM Genre g CROSS JOIN MediaType m
