-- Give a bucket 8-byte handles, where it has 4-byte ones.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the bucket's number
--
-- Returns {'ok', 1}, {'missing', state}, {'stale', bucket}, {'broken', key, length}, {'absent', key}.

if not is_live() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local number = tonumber(ARGV[4])
local n = meet(number)
if widths[n] == BODY then
  return { 'stale', number }
elseif widths[n] == BODY + 8 then
  return { 'ok', 1 }
end
local text, width = call('GET', keys[n]), widths[n]
if not text then
  return { 'absent', keys[n] }
elseif #text % width ~= 0 then
  return { 'broken', keys[n], #text }
end
local wide = {}
for at = 1, #text, width do
  local handle = sub(text, at + BODY, at + width - 1)
  wide[#wide + 1] = sub(text, at, at + BODY - 1)
  wide[#wide + 1] = handle == HOLE[4] and HOLE[8] or handle .. '\0\0\0\0'
end
call('SET', keys[n], table.concat(wide))
call('SETRANGE', PARTITION, number * ENTRY + ENTRY - 1, '\8')
change_stamp(number .. centroids[n])
return { 'ok', 1 }
