SELECT 'chart:' || g.genre_id || ':' || m.media_type_id AS key,
       jsonb_build_object(
           'genre', g.name,
           'media', m.name,
           'tracks', (SELECT count(*) FROM track t
                      WHERE t.genre_id = g.genre_id AND t.media_type_id = m.media_type_id),
           'at_usual_price', (SELECT count(*) FROM track t
                              WHERE t.genre_id = g.genre_id AND t.media_type_id = m.media_type_id
                                AND t.unit_price = 0.99),
           'longest', coalesce(
               (SELECT jsonb_agg(top.name ORDER BY top.milliseconds DESC, top.track_id)
                FROM (SELECT t.name, t.milliseconds, t.track_id FROM track t
                      WHERE t.genre_id = g.genre_id AND t.media_type_id = m.media_type_id
                      ORDER BY t.milliseconds DESC, t.track_id
                      LIMIT 3) top),
               '[]'))::text AS body
FROM genre g CROSS JOIN media_type m
