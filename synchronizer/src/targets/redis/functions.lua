#!lua name=pubsync_VERSION

-- The guard: a write is accepted only over a lower revision (or an equal one, where the first argument is 1).
-- Keys come in pairs: the document, and its tombstone in the same slot. The answer has one entry a pair: 1 applied,
-- 0 stale, or the text of an error that concerns this pair only.
-- Revisions are below 2^53, where Lua's numbers are exact.
-- VERSION is a checksum of this file: versions of pubsync that run side by side each call their own functions.

-- The highest revision known for a pair and whether a tombstone stands; on an error nil, nil and its text.
local function held(key, tombstone)
  local head = redis.pcall('GETRANGE', key, 0, 31)
  if type(head) == 'table' then return nil, nil, head.err end
  local buried = redis.pcall('GET', tombstone)
  if type(buried) == 'table' then return nil, nil, buried.err end
  local live = tonumber(string.match(head, '^{"_revision":(%d+)%D'))
  if not buried then return live, false end
  return math.max(live or 0, tonumber(buried) or 0), true
end

local function accepted(new, old, equal)
  return not old or new > old or (equal and new == old)
end

-- KEYS: key, tombstone, ...   ARGV: equal (0 or 1), then revision, document, ...
local function put(keys, args)
  local equal, out = args[1] == '1', {}
  for i = 1, #keys / 2 do
    local key, tombstone = keys[2 * i - 1], keys[2 * i]
    local old, buried, err = held(key, tombstone)
    if err then
      out[i] = err
    elseif accepted(tonumber(args[2 * i]), old, equal) then
      redis.call('SET', key, args[2 * i + 1])
      if buried then redis.call('DEL', tombstone) end
      out[i] = 1
    else
      out[i] = 0
    end
  end
  return out
end

-- KEYS: key, tombstone, ...   ARGV: equal (0 or 1), seconds a tombstone lives, then revision, ...
local function delete(keys, args)
  local equal, out = args[1] == '1', {}
  for i = 1, #keys / 2 do
    local key, tombstone = keys[2 * i - 1], keys[2 * i]
    local old, _, err = held(key, tombstone)
    if err then
      out[i] = err
    elseif accepted(tonumber(args[i + 2]), old, equal) then
      redis.call('DEL', key)
      redis.call('SET', tombstone, args[i + 2], 'EX', args[2])
      out[i] = 1
    else
      out[i] = 0
    end
  end
  return out
end

-- KEYS: the mark   ARGV: lowest and highest mark that may be there ('' as lowest: whatever is there), the new one.
-- Gives the mark that was there, and replaces it only if it may be there.
local function mark(keys, args)
  local held, lowest = redis.call('GET', keys[1]), tonumber(args[1])
  local known = tonumber(held or '')
  if not lowest or (known and known >= lowest and known <= tonumber(args[2])) then
    redis.call('SET', keys[1], args[3])
  end
  return held
end

redis.register_function('pubsync_put_VERSION', put)
-- Deletes free memory: they must pass when it is used up.
redis.register_function{function_name = 'pubsync_delete_VERSION', callback = delete, flags = {'allow-oom'}}
redis.register_function{function_name = 'pubsync_mark_VERSION', callback = mark, flags = {'allow-oom'}}
