-- Write a batch of items, each id once, into buckets that the caller has chosen.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the buckets: number (4 bytes), centroid as the caller knows it, fine radius (2), coarse radius (1) that it
--          must have for what it gets
-- ARGV[5]  the items: which of these buckets, counted from 0 (2 bytes), hash (4), handle (8), codes and attributes
-- ARGV[6...]  by threes, for items that have a name or a payload: which item, counted from 0; its encoded id where the
--          handle is a hash, else empty; its payload as JSON, else empty
--
-- Returns {'ok', number of replaced items, number and items of every bucket that now holds more than `bucket_items`...},
-- or a refusal with nothing written: {'missing', state}, {'stale', bucket}: its centroid is another; {'narrow', bucket}: it
-- cannot hold so wide a handle; {'collision', id there, id given}, {'broken', key, length}, {'torn', key, length},
-- {'absent', key}.

if not is_live() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local header = call('HMGET', META, 'pages', 'bucket_items')
local count, limit = tonumber(header[1]), tonumber(header[2])

local FINE_SLACK, COARSE_SLACK = 4, 2
local chosen, needed, raised = {}, {}, {}

-- Plan to have a bucket's radii no less than these. One that must grow grows by some bits more: each time that it does,
-- searchers read the partition anew.
local function widen_radii(bucket, fine, coarse)
  local fine_was, coarse_was = decode('<I2B', bucket.radii or sub(bucket.entry, CODES + 1))
  if fine > fine_was or coarse > coarse_was then
    fine = fine > fine_was and math.min(fine + FINE_SLACK, 65535) or fine_was
    coarse = coarse > coarse_was and math.min(coarse + COARSE_SLACK, 255) or coarse_was
    bucket.radii = encode('<I2B', fine, coarse)
    raised[bucket] = true
  end
end

local step = 4 + CODES + 3
for at = 1, #ARGV[4], step do
  local number = decode('<I4', ARGV[4], at)
  local bucket = bucket_at(number)
  if sub(bucket.entry, 1, CODES) ~= sub(ARGV[4], at + 4, at + 3 + CODES) or #bucket.entry < ENTRY then
    return { 'stale', number }
  end
  needed[number] = { decode('<I2B', ARGV[4], at + 4 + CODES) }
  widen_radii(bucket, needed[number][1], needed[number][2])
  chosen[#chosen + 1] = number
  changing(number)
end

local extra = {}
for at = 6, #ARGV, 3 do
  extra[tonumber(ARGV[at])] = at
end

step = 14 + BODY
local hashes, page_of_each = read_pages(ARGV[5], 3, step, count)
if broken then
  return broken
end

-- Where the items are now, if they are there.
local handles, found, others = {}, {}, {}
for item = 1, #hashes do
  local at = (item - 1) * step + 1
  handles[item] = sub(ARGV[5], at + 6, at + 13)
  local place, holder, record = find(pages[page_of_each[item]], hashes[item], handles[item])
  if place then
    found[item] = { place, holder, record }
    if not buckets[holder].free then
      others[#others + 1] = holder
      changing(holder)
    end
  end
end
if broken then
  return broken
end
read_holes(chosen)
read_holes(others)

-- Whether an item need not leave the bucket where it is for one that was chosen, since both have one centroid: else items
-- that are all alike would move to the first of their buckets, and overfill it, each time that they are written. The
-- bucket must then be as wide as the chosen one.
local function stays(bucket, number)
  if sub(bucket.entry, 1, CODES) ~= sub(buckets[number].entry, 1, CODES) then
    return false
  end
  widen_radii(bucket, needed[number][1], needed[number][2])
  return true
end

local replaced, added, moved = 0, 0, {}
local names, payloads, without = {}, {}, {}
for item = 1, #hashes do
  local at = (item - 1) * step + 1
  local hash, handle, here = hashes[item], handles[item], found[item]
  local number = chosen[decode('<I2', ARGV[5], at) + 1]
  local codes = sub(ARGV[5], at + 14, at + step - 1)
  local bucket = buckets[number]
  local stored = handle
  if bucket.handle == 4 then
    stored = sub(handle, 1, 4)
    if sub(handle, 5) ~= '\0\0\0\0' or stored == HOLE[4] then
      return { 'narrow', number }
    end
  end
  local page = page_of_each[item]
  local more = extra[item - 1]
  if more and ARGV[more + 1] ~= '' then
    local known = call('HGET', names_key(page), handle)
    if known and known ~= ARGV[more + 1] then
      return { 'collision', known, ARGV[more + 1] }
    elseif not known then
      names[#names + 1] = { names_key(page), handle, ARGV[more + 1] }
    end
  end
  if here and (here[2] == number or stays(buckets[here[2]], number)) then
    local old = buckets[here[2]]
    old.writes[#old.writes + 1] = { here[3] * old.width, codes }
  elseif here then
    take_away(buckets[here[2]], here[3])
    moved[#moved + 1] = { page, here[1], where(number, put(bucket, codes .. stored)) }
  else
    added = added + 1
    local into = pages[page].added
    into[#into + 1] = hash .. where(number, put(bucket, codes .. stored))
  end
  if here then
    replaced = replaced + 1
  end
  if more and ARGV[more + 2] ~= '' then
    payloads[#payloads + 1] = handle
    payloads[#payloads + 1] = ARGV[more + 2]
  elseif here then
    without[#without + 1] = handle
  end
end

if broken then
  return broken
end

-- The first write must be one that Redis refuses when `maxmemory` is reached: it decides for the whole script.
local live = call('HINCRBY', META, 'live', added)
for bucket in pairs(raised) do
  call('SETRANGE', PARTITION, bucket.number * ENTRY + CODES, bucket.radii)
end
if next(raised) then
  change_stamp(ARGV[4])
end
local reply = { 'ok', replaced }
write_buckets(function(number, items)
  if items > limit then
    reply[#reply + 1] = number
    reply[#reply + 1] = items
  end
end)
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
    local place = sub(text, at, at + PLACE - 1)
    local to = decode('<I4', place) % (2 * level) == count and go or stay
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
    if decode('<I4', known[at]) % (2 * level) == count then
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
