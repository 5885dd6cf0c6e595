-- Turns a user's flag for one reaction on one post off. Runs also when memory is full: removing
-- must always work (flag allow-oom).
-- KEYS, ARGV, returns: see prelude_tap.lua. Derived keys: none.

return taps(false, true)
