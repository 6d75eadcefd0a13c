-- Functions that add.lua and delete.lua share; their text is put in front of each.
--
-- Both scripts first read and check everything, collecting what they will do, and only then write: a script is not
-- rolled back when a command in its middle fails.
--
-- KEYS[1] meta      header                     (hash)
-- KEYS[2] version   version of the occupancy   (string)
-- KEYS[3] occupied  occupancy map              (string)
-- KEYS[4] dead      bucket → tombstones        (hash)
-- KEYS[5] nums      id → "number:bucket"       (hash)
-- KEYS[6] ids       number → id                (hash)
-- KEYS[7] payloads  number → JSON              (hash)
-- ARGV[1] incarnation of the index that the caller opened
-- ARGV[2] what every bucket's key begins with; the buckets share the hash tag of KEYS
-- ARGV[3] record width in bytes
-- ARGV[4...] see the script itself

local META, VERSION, OCCUPIED, DEAD, NUMS, IDS, PAYLOADS = unpack(KEYS)
local INCARNATION, PREFIX, WIDTH = ARGV[1], ARGV[2], tonumber(ARGV[3])
local TOMBSTONE = 2147483648
local LONGEST_STRING = 536870912 -- Redis' default proto-max-bulk-len
local AT_ONCE = 2000 -- arguments of one command: a call costs more than a field, and Lua passes fewer than 8000

-- Whether the index that the caller opened is still there.
local function is_live()
  local header = redis.call('HMGET', META, 'incarnation', 'state')
  return header[1] == INCARNATION and header[2] == 'live'
end

-- plan[bucket] = {records to append, how many of them are tombstones}
local function entry(plan, bucket)
  if not plan[bucket] then
    plan[bucket] = { records = {}, tombstones = 0 }
  end
  return plan[bucket]
end

local function plan_record(plan, bucket, number, fine)
  local planned = entry(plan, bucket)
  planned.records[#planned.records + 1] = struct.pack('>I4', number) .. fine
end

-- Run a command on one hash with any number of fields (and values); returns all that it replies, where that is a list.
local function on_fields(command, key, fields)
  local replies = {}
  for from = 1, #fields, AT_ONCE do
    local reply = redis.call(command, key, unpack(fields, from, math.min(from + AT_ONCE - 1, #fields)))
    if type(reply) == 'table' then
      for at = 1, #reply do
        replies[#replies + 1] = reply[at]
      end
    end
  end
  return replies
end

-- Plan the tombstone of an item's present record, found at `place`; returns its number, false where the item is not
-- there, nil where the place cannot be read.
local function plan_burial(plan, place)
  if not place then
    return false
  end
  local number, bucket = string.match(place, '^(%d+):(%x+)$')
  if not number then
    return nil
  end
  plan_record(plan, bucket, TOMBSTONE + tonumber(number), string.rep('\0', WIDTH - 4))
  entry(plan, bucket).tombstones = plan[bucket].tombstones + 1
  return number
end

-- A reply that refuses the plan, or nil where every bucket of it can be written.
local function obstacle(plan)
  for bucket, planned in pairs(plan) do
    local length = redis.call('STRLEN', PREFIX .. bucket)
    if length % WIDTH ~= 0 then
      return { 'broken', PREFIX .. bucket, length }
    end
    if planned.tombstones > 0 and length == 0 then
      return { 'absent', PREFIX .. bucket }
    end
    if length + #planned.records * WIDTH > LONGEST_STRING then
      return { 'full', PREFIX .. bucket, length }
    end
  end
  return nil
end

-- Rewrite a bucket without its dead records. Returns true where nothing was left and the bucket is gone.
local function compact(bucket)
  local key = PREFIX .. bucket
  local log = redis.call('GET', key)
  local gone, kept = {}, {}
  for at = 1, #log, WIDTH do
    local number = struct.unpack('>I4', log, at)
    if number >= TOMBSTONE then
      gone[number - TOMBSTONE] = true
    end
  end
  for at = 1, #log, WIDTH do
    local number = struct.unpack('>I4', log, at)
    if number < TOMBSTONE and not gone[number] then
      kept[#kept + 1] = string.sub(log, at, at + WIDTH - 1)
    end
  end
  redis.call('HDEL', DEAD, bucket)
  if #kept == 0 then
    redis.call('DEL', key)
    redis.call('SETBIT', OCCUPIED, tonumber(bucket, 16), 0)
    return true
  end
  redis.call('SET', key, table.concat(kept))
  return false
end

-- Append what is planned, compact where it is due, keep the occupancy map and its version true.
local function write(plan)
  local changed = false
  for bucket, planned in pairs(plan) do
    local appended = #planned.records * WIDTH
    local length = redis.call('APPEND', PREFIX .. bucket, table.concat(planned.records))
    if length == appended then
      redis.call('SETBIT', OCCUPIED, tonumber(bucket, 16), 1)
      changed = true
    end
    if planned.tombstones > 0 then
      local dead = redis.call('HINCRBY', DEAD, bucket, planned.tombstones)
      -- A dead record and its tombstone take two places: this is half of the bucket or more.
      if 4 * dead * WIDTH >= length and compact(bucket) then
        changed = true
      end
    end
  end
  if redis.call('HGET', META, 'live') == '0' then
    redis.call('DEL', OCCUPIED)
  end
  if changed then
    redis.call('INCR', VERSION)
  end
end
