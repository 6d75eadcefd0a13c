-- Give items other payloads; unknown ids are passed over.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the items, each once: hash (4 bytes), handle (8), attributes
-- ARGV[5...]  by twos for every item: its encoded id where the handle is a hash, else empty; its payload as JSON, empty to
--          take it away
--
-- Returns {'ok', which items are there (a byte each: 1 or 0)}, or a refusal with nothing written: {'missing', state},
-- {'torn', key, length}.

if not is_live() then
  return { 'missing', call('HGET', META, 'state') or '' }
end
local step = 12 + BODY - CODES
local hashes, page_of_each = read_pages(ARGV[4], 1, step, tonumber(call('HGET', META, 'pages')))
if broken then
  return broken
end

local there, given, without, attributes = {}, {}, {}, {}
for item, hash in ipairs(hashes) do
  local at = (item - 1) * step
  local handle, page = sub(ARGV[4], at + 5, at + 12), page_of_each[item]
  local name, payload = ARGV[3 + 2 * item], ARGV[4 + 2 * item]
  local place, holder, record = find(page, hash, handle)
  local known = place and (name == '' or call('HGET', names_key(page), handle) == name)
  there[item] = known and '\1' or '\0'
  if known and step > 12 then
    attributes[#attributes + 1] = { keys[holder], record * widths[holder] + CODES, sub(ARGV[4], at + 13, at + step) }
  end
  if known and payload ~= '' then
    given[#given + 1] = handle
    given[#given + 1] = payload
  elseif known then
    without[#without + 1] = handle
  end
end

-- First what Redis refuses when `maxmemory` is reached: it decides for the whole script.
on_fields('HSET', PAYLOADS, given)
on_fields('HDEL', PAYLOADS, without)
for _, one in ipairs(attributes) do
  call('SETRANGE', unpack(one))
end
return { 'ok', table.concat(there) }
