-- Write the header of one shard, and its partition of one empty bucket.
--
-- KEYS: the shard's five fixed keys, in the order of items.lua, and its first bucket
-- ARGV[1]     '1' where a header that is there already is a left-over and may be overwritten (a shard other than 0,
--             while the caller holds shard 0), '0' where it means that the index exists
-- ARGV[2]     first stamp of the partition, which is the index's incarnation
-- ARGV[3]     the partition
-- ARGV[4...]  the header's fields and values in turn
--
-- Returns {'ok'}, or with nothing written {'exists', its state} or {'occupied', key}.

if ARGV[1] == '0' and redis.call('EXISTS', KEYS[1]) == 1 then
  if redis.call('HGET', KEYS[1], 'incarnation') == ARGV[2] then
    return { 'ok' } -- this very creation, whose answer was lost
  end
  return { 'exists', redis.call('HGET', KEYS[1], 'state') or '' }
end
for slot = 4, 6 do
  if redis.call('EXISTS', KEYS[slot]) == 1 and not (slot == 6 and redis.call('STRLEN', KEYS[slot]) == 0) then
    return { 'occupied', KEYS[slot] }
  end
end
-- The first write of a new index must be one that Redis refuses when `maxmemory` is reached.
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('DEL', KEYS[1])
end
for at = 4, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('SET', KEYS[3], ARGV[3])
redis.call('SET', KEYS[6], '')
return { 'ok' }
