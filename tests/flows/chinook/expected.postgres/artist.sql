SELECT 'artist:' || a.artist_id AS key,
       jsonb_build_object(
           'id', a.artist_id,
           'name', a.name,
           'album_count', (SELECT count(*) FROM album b WHERE b.artist_id = a.artist_id),
           'albums', coalesce(
               (SELECT jsonb_agg(
                           jsonb_build_object(
                               'id', b.album_id,
                               'title', b.title,
                               'artist', a.name,
                               'tracks', coalesce(
                                   (SELECT jsonb_agg(
                                               jsonb_build_object(
                                                   'id', t.track_id,
                                                   'name', t.name,
                                                   'composer', t.composer,
                                                   'milliseconds', t.milliseconds,
                                                   'price', t.unit_price,
                                                   'genre', g.name)
                                               ORDER BY t.composer DESC NULLS LAST, t.milliseconds DESC, t.track_id)
                                    FROM track t
                                    LEFT JOIN genre g ON g.genre_id = t.genre_id
                                    WHERE t.album_id = b.album_id),
                                   '[]'))
                           ORDER BY b.title, b.album_id)
                FROM album b
                WHERE b.artist_id = a.artist_id),
               '[]'))::text AS body
FROM artist a
