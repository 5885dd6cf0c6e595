-- Turns a user's flag off while memory is full, because removing must always work. It adds no more
-- than it takes away, except for a bounded reserve: see log.lua and record.lua.
-- KEYS, ARGV, returns: see tap.lua. Derived keys: floor, full. Flags: allow-oom.

--- @include "batch"

full = true
return taps(false, true)
