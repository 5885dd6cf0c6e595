-- Deadlines, and the arguments that every writing script takes once.
--
-- ARGV, once      1 how long the log keeps an entry, in milliseconds
--                 2 the earliest not_after of the batch
--                 3 not_before: the least that this server's clock shows, in µs
--                 4 how long a record is kept, in milliseconds
--                 5 how many entries the log keeps
-- Commands  none

--- @include "clock"

local hurried = now > tonumber(ARGV[2])
-- If someone put the clock back, not_after means nothing any more.
local put_back = now < tonumber(ARGV[3])

-- The failure of an item that must not run any more; nil if it may run.
local function overdue(not_after)
  return hurried and now > tonumber(not_after) and TOO_LATE or put_back and PUT_BACK or nil
end
