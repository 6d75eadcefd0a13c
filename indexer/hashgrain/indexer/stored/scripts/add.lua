-- Write a batch of items, each id once, into buckets that the caller has chosen.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the buckets, see chosen.lua
-- ARGV[5]  the items: which of these buckets, counted from 0 (2 bytes), hash (4), codes and attributes, handle (8)
-- ARGV[6...]  by threes, for items that have a name or a payload: which item, counted from 0; its encoded id where the
--          handle is a hash, else empty; its payload as JSON, else empty
--
-- Returns {'ok', number of replaced items, number and items of every bucket that is to be split or merged...} (see
-- `write_buckets` in items.lua), or a refusal with nothing written: {'missing', state}, {'stale', bucket}: its centroid is
-- another; {'narrow', bucket}: it cannot hold so wide a handle; {'collision', id there, id given}, {'broken', key, length},
-- {'torn', key, length}, {'absent', key}.

local header = call('HMGET', META, 'incarnation', 'state', 'pages', 'bucket_items')
if header[1] ~= INCARNATION or header[2] ~= 'live' then
  return { 'missing', header[2] or '' }
end
local count, limit = tonumber(header[3]), tonumber(header[4])

local chosen, stale = choose()
if not chosen then
  return { 'stale', stale }
end

local extra = {}
for at = 6, #ARGV, 3 do
  extra[tonumber(ARGV[at]) + 1] = at
end

local given = ARGV[5]
local step = 14 + BODY
local hashes, page_of_each = read_pages(given, 3, step, count)
if broken then
  return broken
end

-- Where the items are now, if they are there.
local handle_of, place_of, holder_of, record_at = {}, {}, {}, {}
for item = 1, #hashes do
  local handle = sub(given, item * step - 7, item * step)
  local place, holder, record = find(page_of_each[item], hashes[item], handle)
  handle_of[item], place_of[item] = handle, place or false
  if place then
    holder_of[item], record_at[item] = holder, record
    change(holder)
  end
end
if broken then
  return broken
end
read_holes()

-- Whether an item need not leave the bucket where it is for one that was chosen, since both have one centroid: else items
-- that are all alike would move to the first of their buckets, and overfill it, each time that they are written. The
-- bucket must then be as wide as the chosen one.
local function stays(holder, n)
  if centroids[holder] ~= centroids[n] then
    return false
  end
  widen_radii(holder, fine_needed[n], coarse_needed[n])
  return true
end

local replaced, new, has_payloads = 0, 0, call('EXISTS', PAYLOADS) == 1
local moves, moved_page, moved_at, moved_to = 0, {}, {}, {}
local new_places, names, payloads, without = {}, {}, {}, {}
for item = 1, #hashes do
  local at = (item - 1) * step + 1
  local low, high = byte(given, at, at + 1)
  local handle, place, holder = handle_of[item], place_of[item], holder_of[item]
  local page, n = page_of_each[item], chosen[low + 256 * high + 1]
  if not stored_in(n, handle) then
    return { 'narrow', numbers[n] }
  end
  local record = sub(given, at + 6, at + 5 + widths[n])
  local more = extra[item]
  if more and ARGV[more + 1] ~= '' then
    local known = call('HGET', names_key(page), handle)
    if known and known ~= ARGV[more + 1] then
      return { 'collision', known, ARGV[more + 1] }
    elseif not known then
      names[#names + 1] = { names_key(page), handle, ARGV[more + 1] }
    end
  end
  if place and (holder == n or stays(holder, n)) then
    write(holder, record_at[item] * widths[holder], sub(record, 1, BODY))
  elseif place then
    take_away(holder, record_at[item])
    moves = moves + 1
    moved_page[moves], moved_at[moves] = page, place + 3
    moved_to[moves] = where(numbers[n], put(n, record))
  else
    new = new + 1
    new_places[page] = (new_places[page] or '') .. hashes[item] .. where(numbers[n], put(n, record))
  end
  if place then
    replaced = replaced + 1
  end
  if more and ARGV[more + 2] ~= '' then
    payloads[#payloads + 1] = handle
    payloads[#payloads + 1] = ARGV[more + 2]
  elseif place and has_payloads then
    without[#without + 1] = handle
  end
end

if broken then
  return broken
end

-- The first write must be one that Redis refuses when `maxmemory` is reached: it decides for the whole script.
local live = call('HINCRBY', META, 'live', new)
raise_radii()
local told = write_buckets(limit)
for at = 1, moves do
  call('SETRANGE', places_key(moved_page[at]), moved_at[at], moved_to[at])
end
for page, text in pairs(new_places) do
  call('APPEND', places_key(page), text)
end
for _, one in ipairs(names) do
  call('HSET', unpack(one))
end
on_fields('HDEL', PAYLOADS, without)
on_fields('HSET', PAYLOADS, payloads)

-- Make as many pages as there should be, each from what one page holds.
local first, level = count, level_of(count)
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
return { 'ok', replaced, unpack(told) }
