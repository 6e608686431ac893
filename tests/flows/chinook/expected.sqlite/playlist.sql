SELECT 'playlist:' || p.PlaylistId AS key,
       json_object(
           'id', p.PlaylistId,
           'name', p.Name,
           'length', (SELECT count(*) FROM PlaylistTrack j WHERE j.PlaylistId = p.PlaylistId),
           'tracks', json(
               (SELECT json_group_array(
                           json_object('id', t.TrackId, 'name', t.Name, 'playlist', p.PlaylistId,
                                       'milliseconds', t.Milliseconds, 'album', b.Title)
                           ORDER BY t.TrackId)
                FROM PlaylistTrack j
                JOIN Track t ON t.TrackId = j.TrackId
                LEFT JOIN Album b ON b.AlbumId = t.AlbumId
                WHERE j.PlaylistId = p.PlaylistId))) AS body
FROM Playlist p
