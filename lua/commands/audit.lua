-- Compares what onetap keeps of posts with their members.
-- KEYS, ARGV, returns: see audit.lua in lib. Derived keys: members, hints, floor. Flags: no-writes.

--- @include "audit"

return audits(false)
