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

local call = redis.call
local sub, encode, decode = string.sub, struct.pack, struct.unpack

-- While a cluster moves the shard to another server key by key, whatever is not here, or not here any more, is refused.
-- So is this key, which is nowhere: now, and not when half of something has been written.
call('EXISTS', PREFIX .. 'nothing')

-- Give the partition another stamp. By how much it grows follows from what was written: where a server fails before
-- its replicas have it all, another change that takes the place of a lost one does not get the stamp of that.
local function change_stamp(written)
  call('INCRBY', STAMP, 1 + tonumber(sub(redis.sha1hex(written), 1, 5), 16))
end

local function bucket_key(bucket)
  return PREFIX .. string.format('b:%06x', bucket)
end

local function places_key(page)
  return PREFIX .. string.format('p:%06x', page)
end

local function names_key(page)
  return PREFIX .. string.format('n:%06x', page)
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

-- Gives the page of a hash, a number, where there are so many pages; see `page_of` in handles.py.
local function paging(pages)
  local level = 1
  while 2 * level <= pages do
    level = 2 * level
  end
  return function(hash)
    local page = hash % (2 * level)
    return page < pages and page or page % level
  end
end

-- Run a command on one hash with any number of fields (and values).
local function on_fields(command, key, fields)
  for from = 1, #fields, AT_ONCE do
    call(command, key, unpack(fields, from, math.min(from + AT_ONCE - 1, #fields)))
  end
end

-- The first place at or after position `from` of a page, in whole steps, that begins with some bytes; nil where none.
local function seek(text, bytes, step, from, first)
  local at = string.find(text, bytes, from, true)
  while at and (at - first) % step ~= 0 do
    at = string.find(text, bytes, at + 1, true)
  end
  return at
end

-- What the script has read, and will write, by number: pages {text, added}; buckets {entry, handle, width, length, free,
-- writes, added}, the last three of those that change: positions of holes, 2 bytes each; {offset, bytes}; records.
local pages, buckets = {}, {}
local broken -- a refusal that was found while reading

-- Call `take` with every one of a list of numbers and what a command with as many keys or fields replies for it.
local function for_each(numbers, command, names, take, ...)
  for from = 1, #numbers, AT_ONCE do
    local last = math.min(from + AT_ONCE - 1, #numbers)
    local words = { ... }
    for at = from, last do
      words[#words + 1] = names and names(numbers[at]) or numbers[at]
    end
    local reply = call(command, unpack(words))
    for at = from, last do
      take(numbers[at], reply[at - from + 1])
    end
  end
end

local whole_partition -- where it is short: reading it once takes less time than reading many entries of it

local function bucket_at(number)
  local bucket = buckets[number]
  if not bucket then
    if whole_partition == nil then
      whole_partition = call('STRLEN', PARTITION) <= 1048576 and call('GET', PARTITION)
    end
    local first = number * ENTRY
    local entry = whole_partition and sub(whole_partition, first + 1, first + ENTRY)
      or call('GETRANGE', PARTITION, first, first + ENTRY - 1)
    local handle = string.byte(entry, ENTRY)
    bucket = {
      number = number, key = bucket_key(number), entry = entry, handle = handle, width = BODY + (handle or 0),
      free = false, writes = false, added = false, length = false, touched = false, taken = 0, radii = false,
    } -- all fields at once, as a table that grows is laid out anew
    buckets[number] = bucket
  end
  return bucket
end

-- Have what is needed to change a bucket.
local function changing(number)
  local bucket = bucket_at(number)
  if not bucket.free then
    bucket.free, bucket.writes, bucket.added = '', {}, {}
  end
  return bucket
end

-- How many records a bucket has in Redis.
local function length_of(bucket)
  if not bucket.length then
    local bytes = call('STRLEN', bucket.key)
    if bytes % bucket.width ~= 0 then
      broken = broken or { 'broken', bucket.key, bytes }
    elseif bytes == 0 and call('EXISTS', bucket.key) == 0 then
      broken = broken or { 'absent', bucket.key }
    end
    bucket.length = bytes / bucket.width
  end
  return bucket.length
end

local function read_holes(numbers)
  for_each(numbers, 'HMGET', nil, function(number, holes)
    buckets[number].free = holes or ''
  end, HOLES)
end

-- Read the pages of the hashes, 4 bytes each, that stand at `first` of every `step` bytes, where there are `count` pages;
-- returns the hashes and the numbers of their pages.
local function read_pages(blob, first, step, count)
  local hashes, page_of_each, missing, page_of = {}, {}, {}, paging(count)
  for at = first, #blob, step do
    local number = page_of((decode('<I4', blob, at)))
    hashes[#hashes + 1] = sub(blob, at, at + 3)
    page_of_each[#hashes] = number
    if not pages[number] then
      pages[number] = { added = {} }
      missing[#missing + 1] = number
    end
  end
  for_each(missing, 'MGET', places_key, function(number, text)
    pages[number].text = text or ''
    if text and #text % PLACE ~= 0 then
      broken = broken or { 'torn', places_key(number), #text }
    end
  end)
  return hashes, page_of_each
end

-- The position of a record, counted from 0, in a bucket that may have it; nil where it has not. Looks where the hint
-- says, and then everywhere.
local function record_of(number, handle, hint)
  local bucket = bucket_at(number)
  local bytes = handle
  if bucket.handle == 4 then
    if sub(handle, 5) ~= '\0\0\0\0' then
      return nil
    end
    bytes = sub(handle, 1, 4)
  end
  if bytes == HOLE[bucket.handle] or not bucket.handle then
    return nil
  end
  local first = NEAR * hint * bucket.width
  local near = call('GETRANGE', bucket.key, first, first + NEAR * bucket.width - 1)
  local at = seek(near, bytes, bucket.width, BODY + 1, BODY + 1)
  if at then
    return NEAR * hint + (at - BODY - 1) / bucket.width
  end
  at = seek(call('GET', bucket.key) or '', bytes, bucket.width, BODY + 1, BODY + 1)
  return at and (at - BODY - 1) / bucket.width
end

-- Where an item lies, once its page is read: the position of its place in the page, its bucket's number, and the
-- position of its record; nil where it is not there. `hash` is 4 bytes, `handle` 8.
local function find(page, hash, handle)
  local at = seek(page.text, hash, PLACE, 1, 1)
  while at do
    local number, hint = decode('<I3B', page.text, at + 4)
    local record = record_of(number, handle, hint)
    if record then
      return at, number, record
    end
    at = seek(page.text, hash, PLACE, at + PLACE, 1)
  end
  return nil
end

-- The last four bytes of the place of a record: its bucket, and a hint to its position.
local function where(number, record)
  return encode('<I3B', number, math.min(math.floor(record / NEAR), 255))
end

-- Plan to put a record into a bucket: into a hole, or at its end; returns its position.
local function put(bucket, record)
  local free = bucket.free
  if #free > 0 then
    local at = decode('<I2', free, #free - 1)
    bucket.free = sub(free, 1, -3)
    bucket.writes[#bucket.writes + 1] = { at * bucket.width, record }
    bucket.touched = true
    return at
  end
  bucket.added[#bucket.added + 1] = record
  return length_of(bucket) + #bucket.added - 1
end

-- Plan to make a hole of a record.
local function take_away(bucket, record)
  bucket.writes[#bucket.writes + 1] = { record * bucket.width + BODY, HOLE[bucket.handle] }
  bucket.touched = true
  bucket.taken = bucket.taken + 1
  if record < LISTED then
    bucket.free = bucket.free .. encode('<I2', record)
  end
end

-- Rewrite a bucket without its holes.
local function compact(bucket)
  local text, hole = call('GET', bucket.key), HOLE[bucket.handle]
  local kept = {}
  for at = 1, #text, bucket.width do
    if sub(text, at + BODY, at + bucket.width - 1) ~= hole then
      kept[#kept + 1] = sub(text, at, at + bucket.width - 1)
    end
  end
  call('SET', bucket.key, table.concat(kept))
end

-- Write what was planned of the buckets, and rewrite those that have become half holes. Calls `told` with the number of
-- every bucket that has grown and how many items it holds.
local function write_buckets(told)
  local listed, whole = {}, {}
  for number, bucket in pairs(buckets) do
    if bucket.free then
      for _, one in ipairs(bucket.writes) do
        call('SETRANGE', bucket.key, one[1], one[2])
      end
      local free = bucket.free
      if #bucket.added > 0 then
        bucket.length = call('APPEND', bucket.key, table.concat(bucket.added)) / bucket.width
        if told then
          told(number, bucket.length - #free / 2)
        end
      end
      if bucket.taken > 0 and #free >= 2 * FEW and #free >= length_of(bucket) then
        compact(bucket)
        free = ''
      end
      if bucket.touched then
        if #free == 0 then
          whole[#whole + 1] = number
        else
          listed[#listed + 1] = number
          listed[#listed + 1] = free
        end
      end
    end
  end
  on_fields('HDEL', HOLES, whole)
  on_fields('HSET', HOLES, listed)
end
