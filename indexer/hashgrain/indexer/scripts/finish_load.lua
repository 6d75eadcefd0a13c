-- Show what was loaded into a shard, be it nothing.
--
-- KEYS: the shard's fixed keys, in the order of items.lua, and its first bucket
-- ARGV[1]  incarnation of the index that the caller opened
-- ARGV[2]  the partition
-- ARGV[3]  how many items
-- ARGV[4]  how many pages
--
-- Returns 1, or 0 with nothing written where the shard is no longer being loaded. Deleting comes first because Redis
-- allows it when `maxmemory` is reached, and the rest goes with it: all items are there by now, or none.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state')
if header[1] ~= ARGV[1] or header[2] ~= 'loading' then
  return 0
end
redis.call('DEL', KEYS[4])
redis.call('SETNX', KEYS[6], '')
redis.call('SET', KEYS[3], ARGV[2])
redis.call('HSET', KEYS[1], 'live', ARGV[3], 'pages', ARGV[4], 'state', 'live')
redis.call('INCR', KEYS[2])
return 1
