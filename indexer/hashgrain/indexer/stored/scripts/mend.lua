-- Change one shard, provided that nothing of what the change was decided by has changed meanwhile.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  how many looks follow, then for every look:
--          how, key, field or positions (see looks.lua), and what it must find: '=' and the value, or '-' for nothing
-- then for every change: how many arguments it has, and the command with its arguments
--
-- Returns {'ok', 1}, {'ok', 0} with nothing written where a look found something else, or {'missing'} where the index
-- is no longer there.

if not is_whole() then
  return { 'missing' }
end
local at = 5
for _ = 1, tonumber(ARGV[4]) do
  local found = look(ARGV[at], ARGV[at + 1], ARGV[at + 2])
  if (found and '=' .. found or '-') ~= ARGV[at + 3] then
    return { 'ok', 0 }
  end
  at = at + 4
end
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  call(unpack(ARGV, at + 1, at + count))
  at = at + 1 + count
end
return { 'ok', 1 }
