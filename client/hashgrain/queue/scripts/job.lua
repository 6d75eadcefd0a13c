-- Stands before every other script. Their keys are those of one job, see `keys.py`:
--
-- KEYS[1]  job
-- KEYS[2]  chunks
-- KEYS[3]  feeder
-- KEYS[4]  rejected
-- KEYS[5]  aside
--
-- and ARGV[1] is the run that the caller takes part in.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether another job stands under the name now, or none.
local function is_gone()
  return redis.call('HGET', KEYS[1], 'run') ~= ARGV[1]
end

-- The job has ended when all was handed out and nothing is left.
local function end_if_done()
  if redis.call('HGET', KEYS[1], 'state') == 'fed' and redis.call('XLEN', KEYS[2]) == 0 then
    redis.call('HSET', KEYS[1], 'state', 'ended', 'ended_ms', now_ms())
  end
end

-- Take a chunk out of the stream; false where somebody has done so before.
local function take_out(id)
  if redis.call('XACK', KEYS[2], 'workers', id) ~= 1 then
    return false
  end
  redis.call('XDEL', KEYS[2], id)
  return true
end

-- Give a chunk up, with the reason.
local function set_aside(id, reason)
  local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
  if not entry then -- somebody has trimmed the stream
    redis.call('XACK', KEYS[2], 'workers', id)
  elseif take_out(id) then
    redis.call('HSET', KEYS[5], id, cjson.encode({reason = reason, work = entry[2][2]}))
    redis.call('HINCRBY', KEYS[1], 'aside', 1)
    end_if_done()
  end
end

-- Whether a chunk is in the hands of this worker, and how often it was handed to one.
local function held(id, worker)
  local claim = redis.call('XPENDING', KEYS[2], 'workers', id, id, 1)[1]
  if claim and claim[2] == worker then
    return tonumber(claim[4])
  end
  return nil
end
