-- Functions that the scripts on items share; their text is put in front of each.
--
-- Every script first reads and checks everything, collecting what it will do, and only then writes: a script is not
-- rolled back when a command in its middle fails.
--
-- KEYS[1] meta       header                        (hash)
-- KEYS[2] stamp      counts the partition's changes (string)
-- KEYS[3] partition  centroids and radii           (string)
-- KEYS[4] holes      bucket → holes                (hash)
-- KEYS[5] payloads   handle → JSON                 (hash)
-- ARGV[1] incarnation of the index that the caller opened
-- ARGV[2] what every key of the shard begins with; they share the hash tag of KEYS
-- ARGV[3] bytes of a record's codes, which are also those of a centroid
-- ARGV[4...] see the script itself
--
-- Numbers in binary are little-endian. See keys.py for the layout.

local META, STAMP, PARTITION, HOLES, PAYLOADS = unpack(KEYS)
local INCARNATION, PREFIX, CODES = ARGV[1], ARGV[2], tonumber(ARGV[3])
local ENTRY = CODES + 4
local PLACE = 7
local PAGE_ITEMS = 256
local HOLE = { [4] = '\255\255\255\255', [8] = '\0\0\0\0\0\0\0\128' }
local AT_ONCE = 2000 -- arguments of one command: a call costs more than a field, and Lua passes fewer than 8000

local call = redis.call

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

-- The page of a hash where there are so many pages; see `page_of` in handles.py.
local function page_of(hash, pages)
  local level = 1
  while 2 * level <= pages do
    level = 2 * level
  end
  local page = hash % (2 * level)
  return page < pages and page or page % level
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

-- What the script has read, and will write: by page {text}, by bucket {text, width, taken, put, added}.
local pages, buckets = {}, {}
local broken -- a refusal that was found while reading

local function page_at(number)
  local page = pages[number]
  if not page then
    page = { text = call('GET', places_key(number)) or '', added = {} }
    if #page.text % PLACE ~= 0 then
      broken = broken or { 'torn', places_key(number), #page.text }
    end
    pages[number] = page
  end
  return page
end

local function bucket_at(number)
  local bucket = buckets[number]
  if not bucket then
    bucket = { holes = {}, written = {}, added = {} }
    local entry = call('GETRANGE', PARTITION, number * ENTRY, number * ENTRY + ENTRY - 1)
    bucket.entry = entry
    bucket.handle = string.byte(entry, ENTRY)
    bucket.width = CODES + (bucket.handle or 0)
    buckets[number] = bucket
  end
  return bucket
end

local function text_of(number)
  local bucket = bucket_at(number)
  if not bucket.text then
    bucket.text = call('GET', bucket_key(number))
    if not bucket.text or #bucket.text % bucket.width ~= 0 then
      broken = broken or { bucket.text and 'broken' or 'absent', bucket_key(number), bucket.text and #bucket.text }
      bucket.text = ''
    end
  end
  return bucket
end

-- Where an item lies: its page, the position of its place there, its bucket's number, and the position of its record;
-- nil where it is not there. `hash` is 4 bytes, `handle` 8.
local function find(hash, handle, count)
  local number = page_of(struct.unpack('<I4', hash), count)
  local page = page_at(number)
  local at = seek(page.text, hash, PLACE, 1, 1)
  while at do
    local holder = struct.unpack('<I3', page.text, at + 4)
    local bucket = text_of(holder)
    local narrow = bucket.handle == 4
    if broken then
      return nil
    elseif not narrow or string.sub(handle, 5) == '\0\0\0\0' then
      local bytes = narrow and string.sub(handle, 1, 4) or handle
      local found = seek(bucket.text, bytes, bucket.width, CODES + 1, CODES + 1)
      if found and bytes ~= HOLE[bucket.handle] then
        return number, at, holder, found - CODES
      end
    end
    at = seek(page.text, hash, PLACE, at + PLACE, 1)
  end
  return nil, number
end

-- Rewrite a bucket without its holes.
local function compact(number, bucket)
  local key = bucket_key(number)
  local text, hole = call('GET', key), HOLE[bucket.handle]
  local kept, from = {}, 1
  local at = seek(text, hole, bucket.width, CODES + 1, CODES + 1)
  while at do
    local start = at - CODES
    if start > from then
      kept[#kept + 1] = string.sub(text, from, start - 1)
    end
    from = start + bucket.width
    at = seek(text, hole, bucket.width, from + CODES, CODES + 1)
  end
  kept[#kept + 1] = string.sub(text, from)
  call('SET', key, table.concat(kept))
  call('HDEL', HOLES, number)
end

-- Write what was collected of a bucket; returns its length in records.
local function write_bucket(number, bucket)
  local key = bucket_key(number)
  for _, one in ipairs(bucket.written) do
    call('SETRANGE', key, one[1] - 1, one[2])
  end
  for _, at in ipairs(bucket.holes) do
    call('SETRANGE', key, at - 1 + CODES, HOLE[bucket.handle])
  end
  local length
  if #bucket.added > 0 then
    length = call('APPEND', key, table.concat(bucket.added))
  else
    length = #bucket.text
  end
  if #bucket.holes > 0 then
    local holes = call('HINCRBY', HOLES, number, #bucket.holes)
    if 4 * holes * bucket.width >= length then
      compact(number, bucket)
      length = length - holes * bucket.width
    end
  end
  return length / bucket.width
end
