-- Makes what onetap keeps of posts agree with their members, and loses none of these.
-- KEYS, ARGV, returns: see audit.lua in lib. Derived keys: members, hints, floor. Flags: none.

--- @include "audit"

return audits(true)
