-- Prelude of the tap scripts, before the taps: appending to the change log, which is bounded by age and
-- by length.
-- KEYS, ARGV, returns: see prelude_tap.lua.

-- Memory is full, and only what removes goes on; set by unset_full.
local full = false

local retention, most_entries = tonumber(ARGV[1]), ARGV[5]
-- Trimming is cheap but not free; a batch in sixteen does it for the partitions it touches.
local oldest = now % 16 == 0 and string.format('%.0f', now / 1000 - retention) or false

-- While memory is full the log is cut by what is appended, but not to fewer entries than this: who
-- follows it skips a hundred and reads anew, and must not miss entries without seeing so.
local KEPT_WHEN_FULL = 128

local function append(log, entry)
  if full then
    local length = try('XLEN', log)
    if type(length) == 'table' then return length end
    return try('XADD', log, 'MAXLEN', '=', math.max(length, KEPT_WHEN_FULL), '*', 'tap', entry)
  end
  if not oldest then return try('XADD', log, '*', 'tap', entry) end
  local place = try('XADD', log, 'MINID', '~', oldest, '*', 'tap', entry)
  -- Age alone is no bound: one client writes thousands a second, and after a clock that was ahead
  -- nothing grows old.
  if type(place) == 'string' then call('XTRIM', log, 'MAXLEN', '~', most_entries) end
  return place
end
