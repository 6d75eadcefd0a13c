-- Turn a shard from live to past, or back; whoever goes by its partition must then read it anew, and learns of it.
--
-- KEYS[1]  header
-- KEYS[2]  stamp of the partition
-- ARGV[1]  incarnation of the index that is meant
-- ARGV[2]  state that it may have
-- ARGV[3]  state that it is to have
--
-- Returns 1, or 0 where it has another state or is another index.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state')
if header[1] ~= ARGV[1] or header[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', ARGV[3])
redis.call('INCR', KEYS[2])
return 1
