-- Read one bucket, and all that is said elsewhere of its records, at one moment.
--
-- KEYS, ARGV[1] to ARGV[3]: see buckets.lua
-- ARGV[4]  the bucket, six hexadecimal digits
--
-- Returns {'missing'} where the index is no longer there, {'foreign', type} where the key is no string, or
-- {'ok', log, tombstones as counted, bit in the occupancy map,
--  number, its id, the id's place, number, its id, the id's place, ... for every number with a record that is not dead},
--  where an id's place is not this record: {number there, its id, ...} and {bucket there, its log, ...}}

if not is_live() then
  return { 'missing' }
end
local bucket = ARGV[4]

local function type_of(name)
  return redis.call('TYPE', PREFIX .. name)['ok']
end

local kind = type_of(bucket)
if kind ~= 'string' and kind ~= 'none' then
  return { 'foreign', kind }
end
local log = redis.call('GET', PREFIX .. bucket)
local whole = log and #log - #log % WIDTH or 0
local done, entries, names, logs, read = {}, {}, {}, {}, { [bucket] = true }
for from = 1, whole, WIDTH do
  local number = struct.unpack('>I4', log, from)
  if number >= TOMBSTONE then
    done[number - TOMBSTONE] = true
  end
end
for from = 1, whole, WIDTH do
  local number = struct.unpack('>I4', log, from)
  if number < TOMBSTONE and not done[number] then
    done[number] = true
    local id = redis.call('HGET', IDS, number)
    local place = id and redis.call('HGET', NUMS, id)
    entries[#entries + 1] = number
    entries[#entries + 1] = id
    entries[#entries + 1] = place
    if place and place ~= number .. ':' .. bucket then
      local other, there = string.match(place, '^(%d+):(%x+)$')
      if other then
        names[#names + 1] = other
        names[#names + 1] = redis.call('HGET', IDS, other)
        if not read[there] then
          read[there] = true
          logs[#logs + 1] = there
          logs[#logs + 1] = type_of(there) == 'string' and redis.call('GET', PREFIX .. there)
        end
      end
    end
  end
end
local bit = redis.call('GETBIT', OCCUPIED, tonumber(bucket, 16))
return { 'ok', log, redis.call('HGET', DEAD, bucket), bit, entries, names, logs }
