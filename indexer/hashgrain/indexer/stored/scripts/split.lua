-- Split a bucket in two, provided that it is what the caller has read.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the bucket's number
-- ARGV[5]  SHA-1 of its bytes, in hexadecimal digits
-- ARGV[6]  its entry in the partition as the caller has read it
-- ARGV[7]  the number of the other half: that of an empty bucket, or the next
-- ARGV[8], ARGV[9]    the records that stay and those that move
-- ARGV[10], ARGV[11]  the entries of both
-- ARGV[12]  the hashes of the items that move, 4 bytes each, in the order of their records
--
-- Returns {'ok', 1}, or {'ok', 0} where either bucket has changed, with nothing written; {'missing', state} where the index is
-- no longer there; {'torn', key, length}, {'lost', key} where a place is not where it should be.

if not is_live() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local number, new = tonumber(ARGV[4]), tonumber(ARGV[7])
local text = call('GET', bucket_key(number))
if not text or redis.sha1hex(text) ~= ARGV[5] or entry_of(number) ~= ARGV[6] then
  return { 'ok', 0 }
end
local buckets_there = call('STRLEN', PARTITION) / ENTRY
if new < buckets_there then
  local listed = call('HGET', HOLES, new) or ''
  if new == number or call('STRLEN', bucket_key(new)) ~= #listed / 2 * widths[meet(new)] then
    return { 'ok', 0 }
  end
elseif new > buckets_there then
  return { 'ok', 0 }
end

local count = tonumber(call('HGET', META, 'pages'))
local places, page_of_each = places_in(number, ARGV[12], 1, 4, count)
if not places then
  return page_of_each -- the refusal
end

call('SET', bucket_key(new), ARGV[9])
call('SET', bucket_key(number), ARGV[8])
call('SETRANGE', PARTITION, number * ENTRY, ARGV[10])
call('SETRANGE', PARTITION, new * ENTRY, ARGV[11])
call('HDEL', HOLES, number, new)
for item, place in ipairs(places) do
  call('SETRANGE', places_key(page_of_each[item]), place + 3, where(new, item - 1))
end
change_stamp(ARGV[4] .. ARGV[5] .. ARGV[7] .. ARGV[10] .. ARGV[11])
return { 'ok', 1 }
