-- Flips a user's flag for one reaction on one post. Redis refuses it when memory is full.
-- KEYS, ARGV, returns: see tap.lua. Derived keys: floor. Flags: none.

--- @include "batch"

return taps(true, true)
