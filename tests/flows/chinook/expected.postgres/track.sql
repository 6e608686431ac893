SELECT 'track:' || t.track_id AS key,
       jsonb_build_object(
           'id', t.track_id,
           'name', t.name,
           'composer', t.composer,
           'milliseconds', t.milliseconds,
           'bytes', t.bytes,
           'price', t.unit_price,
           'price_text', t.unit_price::text,
           'album', CASE WHEN b.album_id IS NOT NULL THEN jsonb_build_object('id', b.album_id, 'title', b.title) END,
           'artist', CASE WHEN a.artist_id IS NOT NULL THEN jsonb_build_object('id', a.artist_id, 'name', a.name) END,
           'genre', g.name,
           'media_type', m.name,
           'playlists', coalesce(
               (SELECT jsonb_agg(jsonb_build_object('id', p.playlist_id, 'name', p.name)
                                 ORDER BY p.name NULLS LAST, p.playlist_id)
                FROM playlist_track j
                JOIN playlist p ON p.playlist_id = j.playlist_id
                WHERE j.track_id = t.track_id),
               '[]'),
           'sales', (SELECT count(*) FROM invoice_line l WHERE l.track_id = t.track_id),
           'credit', coalesce(t.composer, a.name, 'unknown'))::text AS body
FROM track t
LEFT JOIN album b ON b.album_id = t.album_id
LEFT JOIN artist a ON a.artist_id = b.artist_id
LEFT JOIN genre g ON g.genre_id = t.genre_id
LEFT JOIN media_type m ON m.media_type_id = t.media_type_id
