-- Turns a user's flag for one reaction on one post on. Refused when memory is full.
-- KEYS, ARGV, returns: see prelude_tap.lua. Derived keys: floor.

return taps(true, false)
