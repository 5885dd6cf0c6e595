-- Appends to the change log of a partition, which is bounded by age and by length.
--
-- Keys      log  stream: one entry per change; the field names its cause or kind
-- Commands  XADD XLEN XTRIM

--- @include "deadline"

-- Whether memory is full, so that only removals go on; unset_full sets it.
local full = false

local retention, most_entries = tonumber(ARGV[1]), ARGV[5]
-- Trimming has a cost, so one batch in sixteen trims the logs that it appends to.
local oldest = now % 16 == 0 and string.format('%.0f', now / 1000 - retention) or false

-- While memory is full, each new entry replaces the oldest one, but the log keeps this many. A
-- follower reads 100 at a time, and must notice that it missed some.
local KEPT_WHEN_FULL = 128

local function append(log, entry, field)
  if full then
    local length = try('XLEN', log)
    if type(length) == 'table' then return length end
    return try('XADD', log, 'MAXLEN', '=', math.max(length, KEPT_WHEN_FULL), '*', field, entry)
  end
  if not oldest then return try('XADD', log, '*', field, entry) end
  local place = try('XADD', log, 'MINID', '~', oldest, '*', field, entry)
  -- Age alone is no bound. One client can write thousands a second; and after the clock was ahead
  -- for a while, no entry grows old.
  if type(place) == 'string' then call('XTRIM', log, 'MAXLEN', '~', most_entries) end
  return place
end
