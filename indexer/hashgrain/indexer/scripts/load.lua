-- Run one command on each of some keys of a shard that the caller is loading.
--
-- KEYS[1]     header
-- KEYS[2...]  the keys
-- ARGV[1]     incarnation of the index that the caller opened
-- ARGV[2]     the command
-- ARGV[3...]  for each key in turn: how many arguments the command takes after it (2000 at most), and these
--
-- Returns 1, or 0 with nothing written where the shard is no longer being loaded.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state')
if header[1] ~= ARGV[1] or header[2] ~= 'loading' then
  return 0
end
local at = 3
for slot = 2, #KEYS do
  local count = tonumber(ARGV[at])
  redis.call(ARGV[2], KEYS[slot], unpack(ARGV, at + 1, at + count))
  at = at + 1 + count
end
return 1
