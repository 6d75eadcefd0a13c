-- A chunk is done: count what came of it, once.
--
-- ARGV[2]  id of the chunk
-- ARGV[3]  encoded
-- ARGV[4]  reused
-- ARGV[5]  unchanged
-- ARGV[6]  bytes
-- ARGV[7]  id of a rejected picture, ARGV[8] why, and so on
--
-- Returns 'gone', 'late' where another has settled it before, or 'settled'.

if is_gone() then
  return 'gone'
end
if not take_out(ARGV[2]) then
  return 'late'
end
for n, field in ipairs({'encoded', 'reused', 'unchanged', 'bytes_read'}) do
  redis.call('HINCRBY', KEYS[1], field, ARGV[n + 2])
end
redis.call('HINCRBY', KEYS[1], 'rejected', (#ARGV - 6) / 2)
redis.call('HINCRBY', KEYS[1], 'done', 1)
for n = 7, #ARGV, 2 do
  redis.call('HSET', KEYS[4], ARGV[n], ARGV[n + 1])
end
end_if_done()
return 'settled'
