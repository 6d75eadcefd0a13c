-- Keep everybody else away from an empty shard, so that it can be loaded; or begin anew.
--
-- KEYS: the shard's fixed keys, in the order of items.lua
-- ARGV[1]  incarnation of the index that the caller opened
-- ARGV[2]  who loads: a random text
--
-- Returns {'ok', bytes of the partition, pages}, or with nothing written {'missing', state} where it is another index
-- or not live, {'filled', items}.

local header = redis.call('HMGET', KEYS[1], 'incarnation', 'state', 'live', 'pages', 'loader')
local mine = header[2] == 'loading' and header[5] == ARGV[2]
if header[1] ~= ARGV[1] or (header[2] ~= 'live' and not mine) then
  return { 'missing', header[2] or '' }
elseif header[3] ~= '0' then
  return { 'filled', header[3] }
end
redis.call('HSET', KEYS[1], 'state', 'loading', 'loader', ARGV[2], 'loaded', '0')
redis.call('INCR', KEYS[2])
return { 'ok', redis.call('STRLEN', KEYS[3]), tonumber(header[4]) }
