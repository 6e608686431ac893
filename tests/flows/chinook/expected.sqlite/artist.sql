SELECT 'artist:' || a.ArtistId AS key,
       json_object(
           'id', a.ArtistId,
           'name', a.Name,
           'album_count', (SELECT count(*) FROM Album b WHERE b.ArtistId = a.ArtistId),
           'albums', json(
               (SELECT json_group_array(
                           json_object(
                               'id', b.AlbumId,
                               'title', b.Title,
                               'artist', a.Name,
                               'tracks', json(
                                   (SELECT json_group_array(
                                               json_object(
                                                   'id', t.TrackId,
                                                   'name', t.Name,
                                                   'composer', t.Composer,
                                                   'milliseconds', t.Milliseconds,
                                                   'price', json(printf('%.2f', t.UnitPrice)),
                                                   'genre', g.Name)
                                               ORDER BY t.Composer DESC NULLS LAST, t.Milliseconds DESC, t.TrackId)
                                    FROM Track t
                                    LEFT JOIN Genre g ON g.GenreId = t.GenreId
                                    WHERE t.AlbumId = b.AlbumId)))
                           ORDER BY b.Title, b.AlbumId)
                FROM Album b
                WHERE b.ArtistId = a.ArtistId))) AS body
FROM Artist a
