-- Declare an index over several shards created.
--
-- KEYS[1]  header of shard 0
-- ARGV[1]  incarnation that the caller is creating
--
-- Returns 1, or 0 where another caller dropped the half-made index meanwhile.

if redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] or redis.call('HGET', KEYS[1], 'state') ~= 'creating' then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'live')
return 1
