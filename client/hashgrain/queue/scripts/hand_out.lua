-- Hand out one more chunk, or say that there is none.
--
-- ARGV[2]  token of the caller
-- ARGV[3]  most chunks that may be open at a time
-- ARGV[4]  the chunk, '' where all is handed out
-- ARGV[5]  references that are handed out with it
-- ARGV[6]  name of the last one
--
-- Returns 'gone', 'lost' where another hands out now, 'full', or 'taken'.

if is_gone() then
  return 'gone'
end
if redis.call('GET', KEYS[3]) ~= ARGV[2] then
  return 'lost'
end
if ARGV[4] == '' then
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[1], 'state', 'fed')
  end_if_done()
  return 'taken'
end
local place = redis.call('HMGET', KEYS[1], 'position', 'last')
if place[1] == ARGV[5] and place[2] == ARGV[6] then
  return 'taken' -- the answer to the first attempt was lost
end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then
  return 'full'
end
redis.call('XADD', KEYS[2], '*', 'work', ARGV[4])
redis.call('HSET', KEYS[1], 'position', ARGV[5], 'last', ARGV[6])
redis.call('HINCRBY', KEYS[1], 'handed_out', 1)
return 'taken'
