SELECT 'playlist:' || p.playlist_id AS key,
       jsonb_build_object(
           'id', p.playlist_id,
           'name', p.name,
           'length', (SELECT count(*) FROM playlist_track j WHERE j.playlist_id = p.playlist_id),
           'tracks', coalesce(
               (SELECT jsonb_agg(
                           jsonb_build_object('id', t.track_id, 'name', t.name, 'playlist', p.playlist_id,
                                              'milliseconds', t.milliseconds, 'album', b.title)
                           ORDER BY t.track_id)
                FROM playlist_track j
                JOIN track t ON t.track_id = j.track_id
                LEFT JOIN album b ON b.album_id = t.album_id
                WHERE j.playlist_id = p.playlist_id),
               '[]'))::text AS body
FROM playlist p
