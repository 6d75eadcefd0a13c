-- Functions that the scripts on items share; their text is put in front of each.
--
-- Every script first reads and checks everything, collecting what it will do, and only then writes: a script is not
-- rolled back when a command in its middle fails.
--
-- KEYS[1] meta       header                        (hash)
-- KEYS[2] stamp      counts the partition's changes (string)
-- KEYS[3] partition  centroids and radii           (string)
-- KEYS[4] holes      bucket → positions of holes   (hash)
-- KEYS[5] payloads   handle → JSON                 (hash)
-- ARGV[1] incarnation of the index that the caller opened
-- ARGV[2] what every key of the shard begins with; they share the hash tag of KEYS
-- ARGV[3] bytes of a record's codes, which are also those of a centroid; and, after a space, of codes and attributes
-- ARGV[4...] see the script itself
--
-- Numbers in binary are little-endian. See keys.py for the layout.
--
-- These scripts are all that the server's only thread does while items are written, so they are made for speed: what
-- they know of items and buckets stands in lists side by side, as a table for each takes longer to make than the rest.

local META, STAMP, PARTITION, HOLES, PAYLOADS = unpack(KEYS)
local INCARNATION, PREFIX = ARGV[1], ARGV[2]
local CODES, BODY = string.match(ARGV[3], '(%d+) (%d+)')
CODES, BODY = tonumber(CODES), tonumber(BODY)
local ENTRY = CODES + 4
local PLACE = 8
local PAGE_ITEMS = 96
local NEAR = 4 -- records that a hint stands for
local FEW = 16 -- holes that are not worth rewriting a bucket for
local LISTED = 65536 -- records of a bucket, from 0, that can be listed as holes
local HOLE = { [4] = '\255\255\255\255', [8] = '\0\0\0\0\0\0\0\128' }
local AT_ONCE = 2000 -- arguments of one command: a call costs more than a field, and Lua passes fewer than 8000
local WHOLE = 131072 -- bytes of a partition up to which reading all of it takes less time than a hundred entries
local BUCKET, PLACES, NAMES = PREFIX .. 'b:%06x', PREFIX .. 'p:%06x', PREFIX .. 'n:%06x'

local call = redis.call
local byte, char, format, search, sub = string.byte, string.char, string.format, string.find, string.sub
local encode, decode = struct.pack, struct.unpack
local floor, min = math.floor, math.min

-- While a cluster moves the shard to another server key by key, whatever is not here, or not here any more, is refused.
-- So is this key, which is nowhere: now, and not when half of something has been written.
call('EXISTS', PREFIX .. 'nothing')

-- Give the partition another stamp. By how much it grows follows from what was written: where a server fails before
-- its replicas have it all, another change that takes the place of a lost one does not get the stamp of that.
local function change_stamp(written)
  call('INCRBY', STAMP, 1 + tonumber(sub(redis.sha1hex(written), 1, 5), 16))
end

local function bucket_key(bucket)
  return format(BUCKET, bucket)
end

local function places_key(page)
  return format(PLACES, page)
end

local function names_key(page)
  return format(NAMES, page)
end

-- Whether the index that the caller opened is still there.
local function is_live()
  local header = call('HMGET', META, 'incarnation', 'state')
  return header[1] == INCARNATION and header[2] == 'live'
end

-- Whether it is there, be it as a generation that is no longer live.
local function is_whole()
  local header = call('HMGET', META, 'incarnation', 'state')
  return header[1] == INCARNATION and (header[2] == 'live' or header[2] == 'past')
end

-- The highest power of two that is not above a number of pages; see `page_of` in handles.py.
local function level_of(pages)
  local level = 1
  while 2 * level <= pages do
    level = 2 * level
  end
  return level
end

-- Run a command on one hash with any number of fields (and values).
local function on_fields(command, key, fields)
  for from = 1, #fields, AT_ONCE do
    call(command, key, unpack(fields, from, min(from + AT_ONCE - 1, #fields)))
  end
end

-- Call `take` with every one of a list of numbers and what a command with as many keys or fields replies for it.
local function for_each(numbers, command, names, take, ...)
  for from = 1, #numbers, AT_ONCE do
    local last = min(from + AT_ONCE - 1, #numbers)
    local words = { ... }
    local before = #words - from + 1
    for at = from, last do
      words[before + at] = names and names(numbers[at]) or numbers[at]
    end
    local reply = call(command, unpack(words))
    for at = from, last do
      take(numbers[at], reply[at - from + 1])
    end
  end
end

-- The first place at or after position `from` of a page, in whole steps, that begins with some bytes; nil where none.
local function seek(text, bytes, step, from, first)
  local at = search(text, bytes, from, true)
  while at and (at - first) % step ~= 0 do
    at = search(text, bytes, at + 1, true)
  end
  return at
end

local broken -- a refusal that was found while reading

-- Pages, by number: their places, as they were read.
local places_of = {}

-- Buckets, counted from 1 as they are met: entry n of each list belongs to bucket n.
local met, buckets = {}, 0 -- number → n; how many there are
local numbers, keys = {}, {}
local widths = {} -- bytes of a record; BODY alone beyond the end of the partition
local centroids, fine_radii, coarse_radii = {}, {}, {}
local lengths = {} -- how many records it has in Redis, once that was read
local reaches = {} -- the position of some record in it, if any was looked for
-- Of those that change:
local changing, holes = {}, {} -- each n; positions of holes, 2 bytes each, once they were read
local added = {} -- records that will be appended, as one string, or nil
local touched, taken = {}, {} -- false, or whether holes change; whether there will be more of them

-- Records that will be written where others are, in order.
local writes, write_key, write_at, write_bytes = 0, {}, {}, {}

local whole_partition -- false where it is long

-- The entry of a bucket, by its number.
local function entry_of(number)
  if whole_partition == nil then
    whole_partition = call('STRLEN', PARTITION) <= WHOLE and call('GET', PARTITION)
  end
  local first = number * ENTRY
  return whole_partition and sub(whole_partition, first + 1, first + ENTRY)
    or call('GETRANGE', PARTITION, first, first + ENTRY - 1)
end

-- Count a bucket, by its number, unless it is met already.
local function meet(number)
  local n = met[number]
  if not n then
    n = buckets + 1
    buckets, met[number] = n, n
    local entry = entry_of(number)
    local low, high, coarse, handle = byte(entry, CODES + 1, ENTRY)
    numbers[n], keys[n], centroids[n] = number, format(BUCKET, number), sub(entry, 1, CODES)
    widths[n] = BODY + (handle or 0)
    fine_radii[n], coarse_radii[n] = (low or 0) + 256 * (high or 0), coarse
  end
  return n
end

-- Have what is needed to change a bucket.
local function change(n)
  if touched[n] == nil then
    touched[n] = false
    changing[#changing + 1] = n
  end
end

-- How many records a bucket has in Redis.
local function length_of(n)
  local length = lengths[n]
  if not length then
    local bytes = call('STRLEN', keys[n])
    if bytes % widths[n] ~= 0 then
      broken = broken or { 'broken', keys[n], bytes }
    elseif bytes == 0 and call('EXISTS', keys[n]) == 0 then
      broken = broken or { 'absent', keys[n] }
    end
    length = bytes / widths[n]
    lengths[n] = length
  end
  return length
end

-- Read the holes of the buckets that change.
local function read_holes()
  for_each(changing, 'HMGET', function(n)
    return numbers[n]
  end, function(n, found)
    holes[n] = found or ''
  end, HOLES)
end

-- Read the pages of the hashes, 4 bytes each, that stand at `first` of every `step` bytes, where there are `count` pages;
-- returns the hashes and the numbers of their pages.
local function read_pages(blob, first, step, count)
  local hashes, page_of_each, missing, items = {}, {}, {}, 0
  local level = level_of(count)
  local twice = 2 * level
  for at = first, #blob, step do
    local one, two, three, four = byte(blob, at, at + 3)
    local hash = one + 256 * two + 65536 * three + 16777216 * four
    local page = hash % twice
    if page >= count then
      page = page - level
    end
    items = items + 1
    hashes[items], page_of_each[items] = sub(blob, at, at + 3), page
    if not places_of[page] then
      places_of[page] = ''
      missing[#missing + 1] = page
    end
  end
  for_each(missing, 'MGET', places_key, function(page, text)
    if text then
      places_of[page] = text
      if #text % PLACE ~= 0 then
        broken = broken or { 'torn', places_key(page), #text }
      end
    end
  end)
  return hashes, page_of_each
end

-- What a bucket stores of a handle, 8 bytes: nil where it has no room for it, or stores that for a hole.
local function stored_in(n, handle)
  local stored = handle
  if widths[n] == BODY + 4 then
    if sub(handle, 5) ~= '\0\0\0\0' then
      return nil
    end
    stored = sub(handle, 1, 4)
  end
  return stored ~= HOLE[widths[n] - BODY] and stored or nil
end

-- The position of a record, counted from 0, in bucket n, which may have it; nil where it has not. Looks where the hint
-- says, and then everywhere.
local function record_of(n, stored, hint)
  local key, width = keys[n], widths[n]
  local first = NEAR * hint
  local at = seek(call('GETRANGE', key, first * width, (first + NEAR) * width - 1), stored, width, BODY + 1, BODY + 1)
  if not at then
    first = 0
    at = seek(call('GET', key) or '', stored, width, BODY + 1, BODY + 1)
  end
  return at and first + (at - BODY - 1) / width
end

-- Where an item lies, once its page is read: the position of its place in the page, its bucket, and the position of its
-- record; nil where it is not there. `hash` is 4 bytes, `handle` 8.
local function find(page, hash, handle)
  local text = places_of[page]
  local at = seek(text, hash, PLACE, 1, 1)
  while at do
    local low, middle, high, hint = byte(text, at + 4, at + 7)
    local n = meet(low + 256 * middle + 65536 * high)
    local stored = stored_in(n, handle)
    local record = stored and widths[n] > BODY and record_of(n, stored, hint)
    if record then
      reaches[n] = record
      return at, n, record
    end
    at = seek(text, hash, PLACE, at + PLACE, 1)
  end
  return nil
end

-- Where the items of one bucket, by number, have their places: the position in its page of each, and the page of each. Of
-- several with one hash either will do. Nil and a refusal where a page cannot be read, or a place is not there.
-- The other arguments are those of `read_pages`.
local function places_in(number, blob, first, step, count)
  local hashes, page_of_each = read_pages(blob, first, step, count)
  if broken then
    return nil, broken
  end
  local found, claimed, bucket = {}, {}, encode('<I3', number)
  for item, hash in ipairs(hashes) do
    local page = page_of_each[item]
    local taken_there = claimed[page] or {}
    local at = seek(places_of[page], hash .. bucket, PLACE, 1, 1)
    while at and taken_there[at] do
      at = seek(places_of[page], hash .. bucket, PLACE, at + PLACE, 1)
    end
    if not at then
      return nil, { 'lost', places_key(page) }
    end
    taken_there[at], claimed[page], found[item] = true, taken_there, at
  end
  return found, page_of_each
end

-- The last four bytes of the place of a record: its bucket, by number, and a hint to its position.
local function where(number, record)
  local hint = floor(record / NEAR)
  return char(number % 256, floor(number / 256) % 256, floor(number / 65536), hint < 255 and hint or 255)
end

-- Plan to write bytes into a bucket, at an offset.
local function write(n, offset, bytes)
  writes = writes + 1
  write_key[writes], write_at[writes], write_bytes[writes] = keys[n], offset, bytes
end

-- Plan to put a record into a bucket: into a hole, or at its end; returns its position.
local function put(n, record)
  local free = holes[n]
  if free ~= '' then
    local low, high = byte(free, -2, -1)
    local at = low + 256 * high
    holes[n], touched[n] = sub(free, 1, -3), true
    write(n, at * widths[n], record)
    return at
  end
  local before = added[n] or ''
  added[n] = before .. record
  return length_of(n) + #before / widths[n]
end

-- Plan to make a hole of a record.
local function take_away(n, record)
  write(n, record * widths[n] + BODY, HOLE[widths[n] - BODY])
  touched[n], taken[n] = true, true
  if record < LISTED then
    holes[n] = holes[n] .. char(record % 256, floor(record / 256))
  end
end

-- Rewrite a bucket without its holes.
local function compact(n)
  local text, hole, width = call('GET', keys[n]), HOLE[widths[n] - BODY], widths[n]
  local kept = {}
  for at = 1, #text, width do
    if sub(text, at + BODY, at + width - 1) ~= hole then
      kept[#kept + 1] = sub(text, at, at + width - 1)
    end
  end
  call('SET', keys[n], table.concat(kept))
end

-- Write what was planned of the buckets, and rewrite those that have become half holes. Returns number and items, in turn,
-- of every bucket that has grown and now holds more than `limit` items, or that has become half holes and holds fewer than a
-- quarter of these.
local function write_buckets(limit)
  for at = 1, writes do
    call('SETRANGE', write_key[at], write_at[at], write_bytes[at])
  end
  local listed, whole, told = {}, {}, {}
  for _, n in ipairs(changing) do
    local free, items = holes[n], nil
    if added[n] then
      lengths[n] = call('APPEND', keys[n], added[n]) / widths[n]
      items = lengths[n] - #free / 2
      if items <= limit then
        items = nil
      end
    end
    if taken[n] and #free > reaches[n] then -- else fewer than half of it are holes
      local left = length_of(n) - #free / 2
      if left <= #free / 2 and left < limit / 4 then
        items = left
      end
      if left <= #free / 2 and #free >= 2 * FEW then
        compact(n)
        free = ''
      end
    end
    if items then
      told[#told + 1] = numbers[n]
      told[#told + 1] = items
    end
    if touched[n] then
      if free == '' then
        whole[#whole + 1] = numbers[n]
      else
        listed[#listed + 1] = numbers[n]
        listed[#listed + 1] = free
      end
    end
  end
  on_fields('HDEL', HOLES, whole)
  on_fields('HSET', HOLES, listed)
  return told
end
