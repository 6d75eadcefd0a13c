-- Empty a bucket: move its items to others, provided that it is what the caller has read.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the other buckets, see chosen.lua
-- ARGV[5]  the items: which of these buckets, counted from 0 (2 bytes), hash (4), codes and attributes, handle (8)
-- ARGV[6]  the bucket's number
-- ARGV[7]  SHA-1 of its bytes, in hexadecimal digits
--
-- Returns {'ok', 1}, or {'ok', 0} where the bucket has changed, with nothing written; a refusal with nothing written:
-- {'missing', state}, {'stale', bucket}, {'narrow', bucket}, {'broken', key, length}, {'absent', key} as in add.lua;
-- {'torn', key, length}, {'lost', key} where a place is not where it should be.

if not is_live() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local number = tonumber(ARGV[6])
local text = call('GET', bucket_key(number))
if not text or redis.sha1hex(text) ~= ARGV[7] then
  return { 'ok', 0 }
end
local chosen, stale = choose()
if not chosen then
  return { 'stale', stale }
end
local header = call('HMGET', META, 'pages', 'bucket_items')
local given, step = ARGV[5], 14 + BODY
local places, page_of_each = places_in(number, given, 3, step, tonumber(header[1]))
if not places then
  return page_of_each -- the refusal
end
read_holes()
local moved = {}
for item, place in ipairs(places) do
  local at = (item - 1) * step + 1
  local low, high = byte(given, at, at + 1)
  local n = chosen[low + 256 * high + 1]
  if not stored_in(n, sub(given, at + step - 8, at + step - 1)) then
    return { 'narrow', numbers[n] }
  end
  local record = put(n, sub(given, at + 6, at + 5 + widths[n]))
  moved[item] = where(numbers[n], record)
end
if broken then
  return broken
end

-- The first write must be one that Redis refuses when `maxmemory` is reached: it decides for the whole script.
call('SET', bucket_key(number), '')
call('HINCRBY', META, 'merged', 1)
call('HDEL', HOLES, number)
raise_radii()
write_buckets(tonumber(header[2]))
for item, place in ipairs(places) do
  call('SETRANGE', places_key(page_of_each[item]), place + 3, moved[item])
end
return { 'ok', 1 }
