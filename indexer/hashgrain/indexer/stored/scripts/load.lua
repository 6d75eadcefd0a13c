-- Run one command on each of some keys of a shard that the caller is loading.
--
-- KEYS[1]     header
-- KEYS[2...]  the keys
-- ARGV[1]     incarnation of the index that the caller opened
-- ARGV[2]     who loads
-- ARGV[3]     the number of this batch, from 1
-- ARGV[4]     the command
-- ARGV[5...]  for each key in turn: how many arguments the command takes after it (2000 at most), and these
--
-- Returns 1, or 0 with nothing written where the shard is no longer being loaded by the caller, or batches before this one
-- are missing: the server failed before its replica had them. A batch whose answer was lost may come once more.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state', 'loader', 'loaded')
if header[1] ~= ARGV[1] or header[2] ~= 'loading' or header[3] ~= ARGV[2] then
  return 0
end
local behind = tonumber(ARGV[3]) - tonumber(header[4])
if behind ~= 1 and behind ~= 0 then
  return 0
end
local at = 5
for slot = 2, #KEYS do
  local count = tonumber(ARGV[at])
  redis.call(ARGV[4], KEYS[slot], unpack(ARGV, at + 1, at + count))
  at = at + 1 + count
end
redis.call('HSET', KEYS[1], 'loaded', ARGV[3])
return 1
