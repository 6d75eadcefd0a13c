-- What add.lua and merge.lua share beside items.lua: the buckets that the caller has chosen for some items.
--
-- KEYS, ARGV[1] to ARGV[3]: see items.lua
-- ARGV[4]  the buckets: number (4 bytes), centroid as the caller knows it, fine radius (2), coarse radius (1) that it
--          must have for what it gets

local FINE_SLACK, COARSE_SLACK = 4, 2
local fine_needed, coarse_needed, raised = {}, {}, {}

-- Plan to have a bucket's radii no less than these. One that must grow grows by some bits more: each time that it does,
-- searchers read the partition anew.
local function widen_radii(n, fine, coarse)
  local fine_was, coarse_was = fine_radii[n], coarse_radii[n]
  if fine > fine_was or coarse > coarse_was then
    fine_radii[n] = fine > fine_was and min(fine + FINE_SLACK, 65535) or fine_was
    coarse_radii[n] = coarse > coarse_was and min(coarse + COARSE_SLACK, 255) or coarse_was
    raised[n] = true
  end
end

-- Have what is needed to change the chosen buckets, and plan their radii; returns them, or nil and the number of one that
-- has another centroid than the caller knows.
local function choose()
  local given, chosen = ARGV[4], {}
  for at = 1, #given, CODES + 7 do
    local one, two, three = byte(given, at, at + 2)
    local n = meet(one + 256 * two + 65536 * three)
    if widths[n] == BODY or centroids[n] ~= sub(given, at + 4, at + 3 + CODES) then
      return nil, numbers[n]
    end
    local low, high, coarse = byte(given, at + 4 + CODES, at + 6 + CODES)
    fine_needed[n], coarse_needed[n] = low + 256 * high, coarse
    widen_radii(n, fine_needed[n], coarse)
    change(n)
    chosen[#chosen + 1] = n
  end
  return chosen
end

-- Write the radii that have grown.
local function raise_radii()
  for n in pairs(raised) do
    call('SETRANGE', PARTITION, numbers[n] * ENTRY + CODES, encode('<I2B', fine_radii[n], coarse_radii[n]))
  end
  if next(raised) then
    change_stamp(ARGV[4])
  end
end
