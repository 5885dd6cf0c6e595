-- Turns a user's flag for one reaction on one post off. Refused when memory is full; unset_full follows
-- then.
-- KEYS, ARGV, returns: see prelude_tap.lua. Derived keys: floor.

return taps(false, true)
