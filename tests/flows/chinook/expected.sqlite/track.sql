SELECT 'track:' || t.TrackId AS key,
       json_object(
           'id', t.TrackId,
           'name', t.Name,
           'composer', t.Composer,
           'milliseconds', t.Milliseconds,
           'bytes', t.Bytes,
           'price', json(printf('%.2f', t.UnitPrice)),
           'price_text', printf('%.2f', t.UnitPrice),
           'album', json(CASE WHEN b.AlbumId IS NOT NULL THEN json_object('id', b.AlbumId, 'title', b.Title) END),
           'artist', json(CASE WHEN a.ArtistId IS NOT NULL THEN json_object('id', a.ArtistId, 'name', a.Name) END),
           'genre', g.Name,
           'media_type', m.Name,
           'playlists', json(
               (SELECT json_group_array(json_object('id', p.PlaylistId, 'name', p.Name)
                                        ORDER BY p.Name NULLS LAST, p.PlaylistId)
                FROM PlaylistTrack j
                JOIN Playlist p ON p.PlaylistId = j.PlaylistId
                WHERE j.TrackId = t.TrackId)),
           'sales', (SELECT count(*) FROM InvoiceLine l WHERE l.TrackId = t.TrackId),
           'credit', coalesce(t.Composer, a.Name, 'unknown')) AS body
FROM Track t
LEFT JOIN Album b ON b.AlbumId = t.AlbumId
LEFT JOIN Artist a ON a.ArtistId = b.ArtistId
LEFT JOIN Genre g ON g.GenreId = t.GenreId
LEFT JOIN MediaType m ON m.MediaTypeId = t.MediaTypeId
