-- Read items by their handles, and one page of places, all at one moment.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the items: hash (4 bytes), handle (8)
-- ARGV[5]  a hash (4 bytes) whose page is to be read, too; else empty
--
-- Returns {'ok', how many pages there are, the page, which items are there (a byte each: 1 or 0), the codes and attributes of those, their
-- names (nil for those whose handle is no hash), their payloads (nil where there is none)}, or a refusal: {'missing', state},
-- {'torn', key, length}.

if not is_whole() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local count = tonumber(call('HGET', META, 'pages'))
local text = ''
if ARGV[5] ~= '' then
  local _, asked = read_pages(ARGV[5], 1, 4, count)
  text = places_of[asked[1]]
end
local hashes, page_of_each = read_pages(ARGV[4], 1, 12, count)
if broken then
  return broken
end

local there, codes, names, known, payloads = {}, {}, {}, {}, {}
for item, hash in ipairs(hashes) do
  local handle, page = sub(ARGV[4], 12 * item - 7, 12 * item), page_of_each[item]
  local place, holder, record = find(page, hash, handle)
  there[item] = place and '\1' or '\0'
  if place then
    local first = record * widths[holder]
    codes[#codes + 1] = call('GETRANGE', keys[holder], first, first + BODY - 1)
    local hashed = byte(handle, 8)
    names[#names + 1] = hashed >= 32 and hashed < 128 and call('HGET', names_key(page), handle)
    known[#known + 1] = handle
  end
end
for_each(known, 'HMGET', nil, function(_, payload)
  payloads[#payloads + 1] = payload
end, PAYLOADS)
return { 'ok', count, text, table.concat(there), table.concat(codes), names, payloads }
