-- Become the one that hands out, or stay it.
--
-- ARGV[2]  token of the caller
-- ARGV[3]  for how many milliseconds
-- ARGV[4]  '1' only to stay it
--
-- Returns {'gone'}, {'fed'} where all is handed out, {'other'} where another does it, or {'leads', position, last}.

if is_gone() then
  return {'gone'}
end
local found = redis.call('HMGET', KEYS[1], 'state', 'position', 'last')
if found[1] ~= 'feeding' then
  return {'fed'}
end
local leader = redis.call('GET', KEYS[3])
if (leader or ARGV[4] == '1') and leader ~= ARGV[2] then
  return {'other'}
end
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
return {'leads', found[2], found[3]}
