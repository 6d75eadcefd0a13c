-- A worker leaves: others may take its chunk at once.
--
-- ARGV[2]  id of the chunk
-- ARGV[3]  worker
-- ARGV[4]  milliseconds of silence after which a chunk is taken over
-- ARGV[5]  '1' where it does not count as a try: the chunk is not to blame

local tries = not is_gone() and held(ARGV[2], ARGV[3])
if tries then
  redis.call('XCLAIM', KEYS[2], 'workers', ARGV[3], 0, ARGV[2], 'IDLE', ARGV[4], 'RETRYCOUNT', tries - ARGV[5], 'JUSTID')
end
