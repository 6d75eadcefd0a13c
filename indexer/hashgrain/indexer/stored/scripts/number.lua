-- Give out the number of the next generation of an index.
--
-- KEYS[1]  generations
--
-- Returns the number.

if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'live', '0', 'past', '', 'newest', '0')
end
return redis.call('HINCRBY', KEYS[1], 'newest', 1)
