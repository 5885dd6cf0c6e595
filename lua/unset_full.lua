-- Turns a user's flag off while memory is full: removing must always work (flag allow-oom). It adds
-- no more than it takes away, but for a bounded reserve: see prelude_log.lua, prelude_keyed.lua.
-- KEYS, ARGV, returns: see prelude_tap.lua. Derived keys: floor, full.

full = true
return taps(false, true)
