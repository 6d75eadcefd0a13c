-- Write the header of one shard.
--
-- KEYS: the shard's seven fixed keys, in the order of buckets.lua
-- ARGV[1]     '1' where a header that is there already is a left-over and may be overwritten (a shard other than 0,
--             while the caller holds shard 0), '0' where it means that the index exists
-- ARGV[2]     first version of the occupancy map
-- ARGV[3...]  the header's fields and values in turn
--
-- Returns {'ok'}, or with nothing written {'exists', its state} or {'occupied', key}.

if ARGV[1] == '0' and redis.call('EXISTS', KEYS[1]) == 1 then
  return { 'exists', redis.call('HGET', KEYS[1], 'state') or '' }
end
for slot = 3, 7 do
  if redis.call('EXISTS', KEYS[slot]) == 1 then
    return { 'occupied', KEYS[slot] }
  end
end
for at = 3, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
end
redis.call('SET', KEYS[2], ARGV[2])
return { 'ok' }
