-- Write a batch of items, each id once, into buckets that the caller has chosen.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the buckets: number (4 bytes), centroid as the caller knows it, fine radius (2), coarse radius (1) that it
--          must have for what it gets
-- ARGV[5]  the items: which of these buckets, counted from 0 (2 bytes), hash (4), handle (8), codes
-- ARGV[6...]  by threes, for items that have a name or a payload: which item, counted from 0; its encoded id where the
--          handle is a hash, else empty; its payload as JSON, else empty
--
-- Returns {'ok', number of replaced items, number and length of every bucket that is now longer than `bucket_items`...},
-- or a refusal with nothing written: {'missing'}, {'stale', bucket}: its centroid is another; {'narrow', bucket}: it
-- cannot hold so wide a handle; {'collision', id there, id given}, {'broken', key, length}, {'torn', key, length},
-- {'absent', key}.

if not is_live() then
  return { 'missing' }
end
local header = call('HMGET', META, 'pages', 'bucket_items')
local count, limit = tonumber(header[1]), tonumber(header[2])

local chosen, raised = {}, {}
local step = 4 + CODES + 3
for at = 1, #ARGV[4], step do
  local number = struct.unpack('<I4', ARGV[4], at)
  local bucket = bucket_at(number)
  if string.sub(bucket.entry, 1, CODES) ~= string.sub(ARGV[4], at + 4, at + 3 + CODES) or #bucket.entry < ENTRY then
    return { 'stale', number }
  end
  local fine, coarse = struct.unpack('<I2B', ARGV[4], at + 4 + CODES)
  local fine_was, coarse_was = struct.unpack('<I2B', bucket.entry, CODES + 1)
  if fine > fine_was or coarse > coarse_was then
    raised[#raised + 1] = { number, struct.pack('<I2B', math.max(fine, fine_was), math.max(coarse, coarse_was)) }
  end
  if call('EXISTS', bucket_key(number)) == 0 then
    return { 'absent', bucket_key(number) }
  end
  chosen[#chosen + 1] = number
end

local extra = {}
for at = 6, #ARGV, 3 do
  extra[tonumber(ARGV[at])] = at
end

local replaced, added, moved = 0, 0, {}
local names, payloads, without = {}, {}, {}
step = 14 + CODES
local item = 0
for at = 1, #ARGV[5], step do
  local which = struct.unpack('<I2', ARGV[5], at)
  local hash = string.sub(ARGV[5], at + 2, at + 5)
  local handle = string.sub(ARGV[5], at + 6, at + 13)
  local codes = string.sub(ARGV[5], at + 14, at + step - 1)
  local number = chosen[which + 1]
  local bucket = buckets[number]
  local stored = handle
  if bucket.handle == 4 then
    stored = string.sub(handle, 1, 4)
    if string.sub(handle, 5) ~= '\0\0\0\0' or stored == HOLE[4] then
      return { 'narrow', number }
    end
  end
  local page, place, holder, record = find(hash, handle, count)
  if broken then
    return broken
  end
  local more = extra[item]
  if more and ARGV[more + 1] ~= '' then
    local key = names_key(page or place)
    local known = call('HGET', key, handle)
    if known and known ~= ARGV[more + 1] then
      return { 'collision', known, ARGV[more + 1] }
    elseif not known then
      names[#names + 1] = { key, handle, ARGV[more + 1] }
    end
  end
  if page then
    replaced = replaced + 1
    if holder == number then
      bucket.written[#bucket.written + 1] = { record, codes }
    else
      local old = buckets[holder]
      old.holes[#old.holes + 1] = record
      bucket.added[#bucket.added + 1] = codes .. stored
      moved[#moved + 1] = { page, place, struct.pack('<I3', number) }
    end
  else
    added = added + 1
    bucket.added[#bucket.added + 1] = codes .. stored
    local into = pages[place].added
    into[#into + 1] = hash .. struct.pack('<I3', number)
  end
  if more and ARGV[more + 2] ~= '' then
    payloads[#payloads + 1] = handle
    payloads[#payloads + 1] = ARGV[more + 2]
  elseif page then
    without[#without + 1] = handle
  end
  item = item + 1
end

-- The first write must be one that Redis refuses when `maxmemory` is reached: it decides for the whole script.
local live = call('HINCRBY', META, 'live', added)
for _, one in ipairs(raised) do
  call('SETRANGE', PARTITION, one[1] * ENTRY + CODES, one[2])
end
if #raised > 0 then
  call('INCR', STAMP)
end
local reply = { 'ok', replaced }
for number, bucket in pairs(buckets) do
  if #bucket.written + #bucket.holes + #bucket.added > 0 then
    local length = write_bucket(number, bucket)
    if length > limit then
      reply[#reply + 1] = number
      reply[#reply + 1] = length
    end
  end
end
for _, one in ipairs(moved) do
  call('SETRANGE', places_key(one[1]), one[2] + 3, one[3])
end
for number, page in pairs(pages) do
  if #page.added > 0 then
    call('APPEND', places_key(number), table.concat(page.added))
  end
end
for _, one in ipairs(names) do
  call('HSET', unpack(one))
end
on_fields('HDEL', PAYLOADS, without)
on_fields('HSET', PAYLOADS, payloads)

-- Make as many pages as there should be, each from what one page holds.
local first, level = count, 1
while 2 * level <= count do
  level = 2 * level
end
while live > count * PAGE_ITEMS do
  if count == 2 * level then
    level = 2 * level
  end
  local from = count - level
  local text = call('GET', places_key(from)) or ''
  local stay, go = {}, {}
  for at = 1, #text, PLACE do
    local place = string.sub(text, at, at + PLACE - 1)
    local to = struct.unpack('<I4', place) % (2 * level) == count and go or stay
    to[#to + 1] = place
  end
  for page, places in pairs({ [from] = stay, [count] = go }) do
    if #places > 0 then
      call('SET', places_key(page), table.concat(places))
    else
      call('DEL', places_key(page))
    end
  end
  local known = call('HGETALL', names_key(from))
  for at = 1, #known, 2 do
    if struct.unpack('<I4', known[at]) % (2 * level) == count then
      call('HSET', names_key(count), known[at], known[at + 1])
      call('HDEL', names_key(from), known[at])
    end
  end
  count = count + 1
end
if count > first then
  call('HSET', META, 'pages', count)
end
return reply
