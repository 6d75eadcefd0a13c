-- Show what was loaded into a shard, be it nothing.
--
-- KEYS: the shard's fixed keys, in the order of items.lua, and its first bucket
-- ARGV[1]  incarnation of the index that the caller opened
-- ARGV[2]  the partition
-- ARGV[3]  how many items
-- ARGV[4]  how many pages
-- ARGV[5]  who loads
-- ARGV[6]  how many batches were written
--
-- Returns 1, or 0 with nothing written where the shard is no longer being loaded by the caller, or batches are missing (see
-- load.lua). Deleting comes first because Redis
-- allows it when `maxmemory` is reached, and the rest goes with it: all items are there by now, or none.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state', 'loader', 'loaded')
if header[1] ~= ARGV[1] or header[2] ~= 'loading' or header[3] ~= ARGV[5] or header[4] ~= ARGV[6] then
  return 0
end
redis.call('DEL', KEYS[4])
redis.call('HDEL', KEYS[1], 'loader', 'loaded', 'merged')
redis.call('SETNX', KEYS[6], '')
redis.call('SET', KEYS[3], ARGV[2])
redis.call('HSET', KEYS[1], 'live', ARGV[3], 'pages', ARGV[4], 'state', 'live')
redis.call('INCR', KEYS[2])
return 1
