-- What peek.lua and mend.lua share beside items.lua: one look at one place of the shard.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua

-- How:    'field' the field of a hash; 'has' 1 where a hash has a field, else 0; 'text' a string; 'part' the bytes of a
--         string from one position to another ("0:13"); 'length' a string's bytes; 'records' how many records there
--         are in all buckets of a partition, holes left out (about a microsecond for each bucket)
-- Where:  key, and the field or the positions ('' for the others)
-- Returns bytes or a number; false where there is nothing, -1 where the key is of another type.
local function look(how, key, field)
  local kind = call('TYPE', key)['ok']
  local hash = how == 'field' or how == 'has'
  if kind ~= 'none' and kind ~= (hash and 'hash' or 'string') then
    return -1
  elseif how == 'field' then
    return call('HGET', key, field)
  elseif how == 'has' then
    return call('HEXISTS', key, field)
  elseif how == 'text' then
    return call('GET', key)
  elseif how == 'part' then
    local from, to = string.match(field, '(%d+):(%d+)')
    return call('GETRANGE', key, from, to)
  elseif how == 'length' then
    return call('STRLEN', key)
  end
  local entries, total = call('GET', key) or '', 0
  for at = ENTRY, #entries, ENTRY do
    local bucket, handle = bucket_key(at / ENTRY - 1), string.byte(entries, at)
    local width, length = BODY + handle, redis.pcall('STRLEN', bucket)
    local count = type(length) == 'number' and math.floor(length / width) or 0
    total = total + count
    if count > LISTED then
      local text = call('GET', bucket)
      for from = LISTED * width + BODY + 1, #text, width do
        total = total - (sub(text, from, from + handle - 1) == HOLE[handle] and 1 or 0)
      end
    end
  end
  for _, holes in ipairs(call('HVALS', HOLES)) do
    total = total - math.floor(#holes / 2)
  end
  return total
end
