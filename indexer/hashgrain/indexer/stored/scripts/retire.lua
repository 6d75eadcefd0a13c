-- Mark one shard as being dropped: from here on it is neither searched nor written.
--
-- KEYS[1]  header
-- KEYS[2]  stamp of the partition
--
-- Returns 1, or 0 where there is no header. Deleting comes first because Redis allows it when `maxmemory` is
-- reached, and the rest goes with it.

if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'state', 'dropping')
return 1
