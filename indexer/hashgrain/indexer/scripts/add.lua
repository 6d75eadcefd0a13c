-- Write a batch of items, each under a fresh number; an id that is there already is replaced.
--
-- KEYS, ARGV[1] to ARGV[3]: see buckets.lua
-- then for every item, each id once:
-- ARGV[4 + 4i]  encoded id
-- ARGV[5 + 4i]  bucket, six hexadecimal digits
-- ARGV[6 + 4i]  packed fine code
-- ARGV[7 + 4i]  payload as JSON, empty where there is none
--
-- Returns {'ok', number of replaced items}, or a refusal with nothing written: {'missing'}, {'exhausted', next},
-- {'place', id}, {'broken', key, length}, {'absent', key}, {'full', key, length}.

if not is_live() then
  return { 'missing' }
end
local count = (#ARGV - 3) / 4
local first = tonumber(redis.call('HGET', META, 'next'))
if first + count > TOMBSTONE then
  return { 'exhausted', first }
end

local plan, replaced, encoded = {}, {}, {}
for item = 0, count - 1 do
  encoded[item + 1] = ARGV[4 + 4 * item]
end
local places = on_fields('HMGET', NUMS, encoded)
for item = 0, count - 1 do
  local at = 4 + 4 * item
  local old = plan_burial(plan, places[item + 1])
  if old == nil then
    return { 'place', ARGV[at] }
  elseif old then
    replaced[#replaced + 1] = old
  end
  plan_record(plan, ARGV[at + 1], first + item, ARGV[at + 2])
end
local refusal = obstacle(plan)
if refusal then
  return refusal
end

-- The first write must be one that Redis refuses when `maxmemory` is reached: it decides for the whole script.
redis.call('HINCRBY', META, 'next', count)
redis.call('HINCRBY', META, 'live', count - #replaced)
on_fields('HDEL', IDS, replaced)
on_fields('HDEL', PAYLOADS, replaced)
local ids, nums, payloads = {}, {}, {}
for item = 0, count - 1 do
  local at = 4 + 4 * item
  local number = first + item
  ids[2 * item + 1], ids[2 * item + 2] = number, ARGV[at]
  nums[2 * item + 1], nums[2 * item + 2] = ARGV[at], number .. ':' .. ARGV[at + 1]
  if ARGV[at + 3] ~= '' then
    payloads[#payloads + 1] = number
    payloads[#payloads + 1] = ARGV[at + 3]
  end
end
on_fields('HSET', IDS, ids)
on_fields('HSET', NUMS, nums)
on_fields('HSET', PAYLOADS, payloads)
write(plan)
return { 'ok', #replaced }
