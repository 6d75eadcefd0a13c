-- A chunk cannot be done by anybody: set it aside, if this worker still has it.
--
-- ARGV[2]  id of the chunk
-- ARGV[3]  worker
-- ARGV[4]  why

if not is_gone() and held(ARGV[2], ARGV[3]) then
  set_aside(ARGV[2], ARGV[4])
end
