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

local plan, found = {}, {}
for at = 4, #ARGV do
  local number = plan_burial(plan, ARGV[at])
  if number == nil then
    return { 'place', ARGV[at] }
  elseif number then
    found[#found + 1] = { ARGV[at], number }
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
for _, item in ipairs(found) do
  redis.call('HDEL', NUMS, item[1])
  redis.call('HDEL', IDS, item[2])
  redis.call('HDEL', PAYLOADS, item[2])
end
redis.call('HINCRBY', META, 'live', -#found)
write(plan)
return { 'ok', #found }
