-- Delete a batch of items; unknown ids are passed over.
--
-- KEYS, ARGV[1] to ARGV[3]: see buckets.lua
-- ARGV[4...]  encoded ids, each once
--
-- Returns {'ok', number of deleted items}, or a refusal with nothing written: {'missing'}, {'place', id},
-- {'broken', key, length}, {'absent', key}, {'full', key, length}.

if not is_live() then
  return { 'missing' }
end

local encoded = {}
for at = 4, #ARGV do
  encoded[at - 3] = ARGV[at]
end
local places = on_fields('HMGET', NUMS, encoded)
local plan, found, numbers = {}, {}, {}
for item = 1, #encoded do
  local number = plan_burial(plan, places[item])
  if number == nil then
    return { 'place', encoded[item] }
  elseif number then
    found[#found + 1] = encoded[item]
    numbers[#numbers + 1] = number
  end
end
if #found == 0 then
  return { 'ok', 0 }
end
local refusal = obstacle(plan)
if refusal then
  return refusal
end

-- The first write is one that Redis allows when `maxmemory` is reached, and the rest goes with it: deleting is the
-- way out of a full store.
on_fields('HDEL', NUMS, found)
on_fields('HDEL', IDS, numbers)
on_fields('HDEL', PAYLOADS, numbers)
redis.call('HINCRBY', META, 'live', -#found)
write(plan)
return { 'ok', #found }
