-- What peek.lua and mend.lua share beside buckets.lua: one look at one place of the shard.
--
-- KEYS, ARGV[1] to ARGV[3]: see buckets.lua

-- How:    'field' the field of a hash; 'text' a string; 'digest' a string's SHA-1, of an absent one that of no bytes;
--         'bit' a bit of a string; 'size' the number of a hash's fields; 'exists' whether there is such a key
-- Where:  key, and the field's name or the bit's number ('' for the others)
-- Returns bytes or a number; false where there is nothing, or a key of another type.
local function look(how, key, field)
  local kind = redis.call('TYPE', key)['ok']
  if how == 'exists' then
    return kind == 'none' and 0 or 1
  elseif how == 'field' then
    return kind == 'hash' and redis.call('HGET', key, field)
  elseif how == 'size' then
    return (kind == 'hash' and redis.call('HLEN', key)) or (kind == 'none' and 0)
  elseif how == 'bit' then
    return (kind == 'string' and redis.call('GETBIT', key, field)) or (kind == 'none' and 0)
  end
  if kind ~= 'string' and kind ~= 'none' then
    return false
  end
  local text = redis.call('GET', key)
  return how == 'text' and text or how == 'digest' and redis.sha1hex(text or '')
end
