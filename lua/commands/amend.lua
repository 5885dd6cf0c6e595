-- Amends posts: what imports and jobs do. Redis refuses it when memory is full; then amend_full
-- follows for the amendments that only remove.
-- KEYS, ARGV, returns: see amend.lua in lib. Derived keys: members, hints, floor. Flags: none.

--- @include "amend"

return amendments()
