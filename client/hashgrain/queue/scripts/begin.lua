-- Begin a job, or take part in one that is under way.
--
-- ARGV[1]  run, for a job that is begun here
-- ARGV[2]  '1' to begin it anew, whatever there is
-- ARGV[3]  version
-- ARGV[4]  fingerprint
-- ARGV[5]  index
-- ARGV[6]  sources
--
-- Returns {'begun'}, {'joined', run}, or {field, found} where the job under way differs in that field.

local fields = {'version', 'fingerprint', 'index', 'sources'}
local state = redis.call('HGET', KEYS[1], 'state')
if state and state ~= 'ended' and ARGV[2] ~= '1' then
  for n, field in ipairs(fields) do
    local found = redis.call('HGET', KEYS[1], field) or ''
    if found ~= ARGV[n + 2] then
      return {field, found}
    end
  end
  return {'joined', redis.call('HGET', KEYS[1], 'run')}
end
redis.call('DEL', unpack(KEYS))
redis.call('XGROUP', 'CREATE', KEYS[2], 'workers', '0', 'MKSTREAM')
redis.call('HSET', KEYS[1], 'run', ARGV[1], 'state', 'feeding', 'begun_ms', now_ms(), 'position', 0, 'last', '')
for n, field in ipairs(fields) do
  redis.call('HSET', KEYS[1], field, ARGV[n + 2])
end
return {'begun', ARGV[1]}
