-- A worker is still at a chunk: nobody takes it over, unless somebody has.
--
-- ARGV[2]  id of the chunk
-- ARGV[3]  worker

if not is_gone() and held(ARGV[2], ARGV[3]) then
  redis.call('XCLAIM', KEYS[2], 'workers', ARGV[3], 0, ARGV[2], 'JUSTID')
end
