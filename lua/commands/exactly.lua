-- Makes a user's reactions on one post exactly these. Redis refuses it when memory is full; then
-- clear_full follows, if the set is empty.
-- KEYS, ARGV, returns: see whole.lua. Derived keys: the members of each reaction, floor. Flags: none.

--- @include "whole"

return whole_sets()
