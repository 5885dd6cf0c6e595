-- Amends posts while memory is full, because removing must always work. The outcomes of a step are kept
-- only if it removed something.
-- KEYS, ARGV, returns: see amend.lua in lib. Derived keys: members, hints, floor. Flags: allow-oom.

--- @include "amend"

full = true
return amendments()
