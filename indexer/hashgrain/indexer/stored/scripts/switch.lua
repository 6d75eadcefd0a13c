-- Make another generation of an index the live one.
--
-- KEYS[1]  generations
-- ARGV[1]  the one that the caller saw live
-- ARGV[2]  the one that is to be
--
-- Returns {'ok'}, or {'changed', live} with nothing written where another is live by now, or none.

local known = redis.call('HMGET', KEYS[1], 'live', 'past')
if known[1] ~= ARGV[1] then
  return { 'changed', known[1] or '' }
end
local past = {}
for number in string.gmatch(known[2], '%d+') do
  if number ~= ARGV[1] and number ~= ARGV[2] then
    past[#past + 1] = number
  end
end
past[#past + 1] = ARGV[1]
redis.call('HSET', KEYS[1], 'live', ARGV[2], 'past', table.concat(past, ','))
return { 'ok' }
