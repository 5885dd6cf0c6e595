-- Prelude of every script.
--
-- A script takes a batch: the keys and arguments of its first item, then those of the second, and
-- so on. It answers one flat list: the store's clock in microseconds, then for every item as many
-- elements as its header says. An item that fails says so in its own first element; the others go
-- on. A missing value is false, never nil: a nil would cut the list.

local call, try = redis.call, redis.pcall

local DAMAGED    = -1 -- something that onetap never writes lies at one of the item's keys
local TOO_LATE   = -2 -- the item's not_after has passed
local REFUSED    = -3 -- the server refused a look, for a reason that is not the data's
local KEY_REUSED = -4 -- the idempotency key was used for another request
local PUT_BACK   = -5 -- the server's clock has been put back since the batch was sent

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now_text = string.format('%.0f', now) -- never tostring: it answers 1.7e+15

-- The revision of a post without state: the clock, less the one microsecond in which its first
-- change may still come, so that no two states of a post share a revision.
local stateless = now - 1

-- The status that an error reply of a look means.
local function failure(reply)
  return string.find(reply.err, 'WRONGTYPE', 1, true) and DAMAGED or REFUSED
end
