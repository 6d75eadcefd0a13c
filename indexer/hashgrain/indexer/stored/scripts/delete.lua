-- Delete a batch of items; unknown ids are passed over.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the items, each once: hash (4 bytes), handle (8)
-- ARGV[5...]  by twos, for items whose handle is a hash: which item, counted from 0; its encoded id
--
-- Returns {'ok', number of deleted items, number and items of every bucket that is to be merged...} (see `write_buckets` in
-- items.lua), or a refusal with nothing written: {'missing', state}, {'broken', key, length},
-- {'torn', key, length}, {'absent', key}.

local header = call('HMGET', META, 'incarnation', 'state', 'pages', 'bucket_items', 'live')
if header[1] ~= INCARNATION or header[2] ~= 'live' then
  return { 'missing', header[2] or '' }
end
local count, limit, live = tonumber(header[3]), tonumber(header[4]), tonumber(header[5])
local named = {}
for at = 5, #ARGV, 2 do
  named[tonumber(ARGV[at])] = ARGV[at + 1]
end

local hashes, page_of_each = read_pages(ARGV[4], 1, 12, count)
if broken then
  return broken
end

local found, names, gone, leaving = {}, {}, {}, {}
for at = 1, #ARGV[4], 12 do
  local hash, handle = sub(ARGV[4], at, at + 3), sub(ARGV[4], at + 4, at + 11)
  local page = page_of_each[(at + 11) / 12]
  local place, holder, record = find(page, hash, handle)
  local name = named[(at - 1) / 12]
  if place and (not name or call('HGET', names_key(page), handle) == name) then
    found[#found + 1] = handle
    change(holder)
    leaving[#leaving + 1] = { holder, record }
    gone[page] = gone[page] or {}
    gone[page][place] = true
    if name then
      names[#names + 1] = { names_key(page), handle }
    end
  end
end
if broken then
  return broken
elseif #found == 0 then
  return { 'ok', 0 }
end
read_holes()
for _, one in ipairs(leaving) do
  take_away(one[1], one[2])
end

-- The first write is one that Redis allows when `maxmemory` is reached, and the rest goes with it: deleting is the
-- way out of a full store.
call('HDEL', HOLES, 'none')
on_fields('HDEL', PAYLOADS, found)
for _, one in ipairs(names) do
  call('HDEL', unpack(one))
end
call('HINCRBY', META, 'live', -#found)
local told = write_buckets(limit)
for number, places in pairs(gone) do
  local text, kept = places_of[number], {}
  for at = 1, #text, PLACE do
    if not places[at] then
      kept[#kept + 1] = sub(text, at, at + PLACE - 1)
    end
  end
  if #kept > 0 then
    call('SET', places_key(number), table.concat(kept))
  else
    call('DEL', places_key(number))
  end
end

-- Where pages have become half empty the last one goes back into the one that it was made from, for each deleted item one
-- at most.
live = live - #found
local first = count
while count > 1 and first - count < #found and 2 * live < count * PAGE_ITEMS do
  count = count - 1
  local into = count - level_of(count)
  local text, known = call('GET', places_key(count)), call('HGETALL', names_key(count))
  if text then
    call('APPEND', places_key(into), text)
  end
  on_fields('HSET', names_key(into), known)
  call('DEL', places_key(count), names_key(count))
end
if count < first then
  call('HSET', META, 'pages', count)
end
return { 'ok', #found, unpack(told) }
