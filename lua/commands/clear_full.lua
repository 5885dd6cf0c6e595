-- Takes all of a user's reactions on one post away while memory is full, because removing must
-- always work.
-- KEYS, ARGV, returns: see whole.lua. Derived keys: the members of each reaction, floor, full.
-- Flags: allow-oom.

--- @include "whole"

full = true
return whole_sets()
