-- Look at several places of one shard at one moment.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- then for every look:
-- ARGV[4 + 3i]  how, see looks.lua
-- ARGV[5 + 3i]  key
-- ARGV[6 + 3i]  field or positions, empty where there are none
--
-- Returns {'ok', what each look found...}, or {'missing'} where the index is no longer there.

if not is_whole() then
  return { 'missing' }
end
local found = { 'ok' }
for at = 4, #ARGV, 3 do
  found[#found + 1] = look(ARGV[at], ARGV[at + 1], ARGV[at + 2])
end
return found
