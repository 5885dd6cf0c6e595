-- The status of an item (one operation of a batch): the first element of its answer. It is a
-- failure, below zero, or for a write a sum of the bits ACTIVE, CHANGED and REPLAYED.
--
-- A failed item does not stop the others. An answer is a flat list, and Redis cuts a list at its
-- first nil. So a missing value is false, never nil.
-- Commands  none

local call, try = redis.call, redis.pcall

local DAMAGED    = -1 -- something that onetap never writes lies at one of the item's keys
local TOO_LATE   = -2 -- the item's not_after has passed
local REFUSED    = -3 -- the server refused to read, for a reason other than the data
local KEY_REUSED = -4 -- the idempotency key belongs to another request
local PUT_BACK   = -5 -- the server's clock was put back after the batch was sent
local FULL       = -6 -- memory is full, and the item would add to it
local NOT_READ   = -7 -- the call has done enough work; ask for the item again

local OTHER_PALETTE    = -8  -- the post names another palette; the answer has its name
local LOCKED           = -9  -- nothing may be added to the post
local NOT_IN_PALETTE   = -10 -- the palette does not have the reaction that the answer names
local NOBODY_HAS       = -11 -- only what somebody has may be added, and nobody has this
local TOO_MANY_KINDS   = -12 -- the post would have too many reactions
local TOO_MANY_OF_USER = -13 -- the user would have too many reactions on the post
local CONTRADICTS      = -14 -- reactions of a whole set (whole.lua) exclude each other
local UNCHANGED        = -15 -- only inside a script, never in an answer: nothing to change

local ACTIVE, CHANGED, REPLAYED = 1, 2, 4

-- The status for an error reply of a read.
local function failure(reply)
  return string.find(reply.err, 'WRONGTYPE', 1, true) and DAMAGED or REFUSED
end
