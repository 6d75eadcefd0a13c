-- Declare an index over several shards created.
--
-- KEYS[1]  header of shard 0
-- ARGV[1]  incarnation that the caller is creating
--
-- Returns 1, or 0 where another caller dropped the half-made index meanwhile.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state')
if header[1] ~= ARGV[1] or (header[2] ~= 'creating' and header[2] ~= 'live') then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'live') -- it is where this was done already, and the answer was lost
return 1
