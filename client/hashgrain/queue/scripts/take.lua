-- Take a chunk: one whose worker fell silent, else a new one.
--
-- ARGV[2]  worker
-- ARGV[3]  milliseconds of silence
-- ARGV[4]  how often a chunk is handed to a worker at most
--
-- Returns {'gone'}, {'ended'}, {'wait'} where there is none now, or {'chunk', id, work}.

if is_gone() then
  return {'gone'}
end
local silent = redis.call('XPENDING', KEYS[2], 'workers', 'IDLE', ARGV[3], '-', '+', 1)[1]
while silent do
  local entry = redis.call('XRANGE', KEYS[2], silent[1], silent[1])[1]
  if entry and tonumber(silent[4]) < tonumber(ARGV[4]) then
    redis.call('XCLAIM', KEYS[2], 'workers', ARGV[2], 0, silent[1])
    return {'chunk', entry[1], entry[2][2]}
  end
  set_aside(silent[1], silent[4] .. ' workers, one after the other, failed, died or fell silent over it')
  silent = redis.call('XPENDING', KEYS[2], 'workers', 'IDLE', ARGV[3], '-', '+', 1)[1]
end
local new = redis.call('XREADGROUP', 'GROUP', 'workers', ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[2], '>')
if new then
  local entry = new[1][2][1]
  return {'chunk', entry[1], entry[2][2]}
end
if redis.call('HGET', KEYS[1], 'state') == 'ended' then
  return {'ended'}
end
return {'wait'}
