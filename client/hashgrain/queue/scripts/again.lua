-- The one that hands out cannot find where it was: hand out everything again, and count anew.
--
-- ARGV[2]  token of the caller
--
-- Returns 'gone', 'lost', or 'taken'.

if is_gone() then
  return 'gone'
end
if redis.call('GET', KEYS[3]) ~= ARGV[2] then
  return 'lost'
end
redis.call('DEL', KEYS[2], KEYS[4], KEYS[5])
redis.call('XGROUP', 'CREATE', KEYS[2], 'workers', '0', 'MKSTREAM')
redis.call('HDEL', KEYS[1], 'handed_out', 'done', 'aside', 'encoded', 'reused', 'unchanged', 'rejected', 'bytes_read')
redis.call('HSET', KEYS[1], 'position', 0, 'last', '')
return 'taken'
