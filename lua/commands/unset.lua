-- Turns a user's flag for one reaction on one post off. Redis refuses it when memory is full; then
-- unset_full follows.
-- KEYS, ARGV, returns: see tap.lua. Derived keys: floor. Flags: none.

--- @include "batch"

return taps(false, true)
