-- Take an empty bucket away: the last one takes its number, provided that it is what the caller has read.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the empty bucket's number
-- ARGV[5]  the number of the last bucket
-- ARGV[6]  SHA-1 of its bytes, in hexadecimal digits
-- ARGV[7]  the hashes of its items, 4 bytes each; of none, where the empty bucket is the last one
--
-- Returns {'ok', 1}, or {'ok', 0} where either bucket has changed or there are others behind, with nothing written;
-- {'missing', state} where the index is no longer there; {'torn', key, length}, {'lost', key} where a place is not where it
-- should be.

if not is_live() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local number, last = tonumber(ARGV[4]), tonumber(ARGV[5])
local partition, text = call('GET', PARTITION), call('GET', bucket_key(last))
local listed = call('HMGET', HOLES, number, last)
if last == 0 or #partition ~= (last + 1) * ENTRY or number > last
  or call('STRLEN', bucket_key(number)) ~= #(listed[1] or '') / 2 * widths[meet(number)]
  or not text or redis.sha1hex(text) ~= ARGV[6] then
  return { 'ok', 0 }
end
local places, page_of_each = places_in(last, ARGV[7], 1, 4, tonumber(call('HGET', META, 'pages')))
if not places then
  return page_of_each -- the refusal
end

local left = sub(partition, 1, last * ENTRY)
if number < last then
  left = sub(left, 1, number * ENTRY) .. sub(partition, last * ENTRY + 1) .. sub(left, (number + 1) * ENTRY + 1)
end
-- The first write must be one that Redis refuses when `maxmemory` is reached: it decides for the whole script.
call('SET', PARTITION, left)
call('HDEL', HOLES, number, last)
if number < last then
  call('SET', bucket_key(number), text)
  if listed[2] then
    call('HSET', HOLES, number, listed[2])
  end
  for item, place in ipairs(places) do
    call('SETRANGE', places_key(page_of_each[item]), place + 3, encode('<I3', number))
  end
end
call('DEL', bucket_key(last))
change_stamp(ARGV[4] .. ' ' .. ARGV[5] .. ARGV[6])
return { 'ok', 1 }
