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
local FULL       = -6 -- memory is full, and the item would add to it
local NOT_READ   = -7 -- the call has done enough; the item is to be asked for again

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now_text = string.format('%.0f', now) -- never tostring: it answers 1.7e+15

local REVISION_LIMIT = 9007199254740992 -- 2^53: above it a double skips integers

-- The status that an error reply of a look means.
local function failure(reply)
  return string.find(reply.err, 'WRONGTYPE', 1, true) and DAMAGED or REFUSED
end

-- A key that the posts of a partition share, derived from the key of one of them: that ends in
-- 'p:' and the 36 characters of its id.
local function of_partition(post, name)
  return string.sub(post, 1, -39) .. name
end

-- A number that a revision may be, or nothing.
local function revision_of(text)
  local revision = tonumber(text)
  return revision and revision >= 0 and revision < REVISION_LIMIT and revision or nil
end

-- The floor of a post's partition, which is the revision of its posts without state: the greatest
-- revision of any post that became empty. Or nothing, and a failure. And whether there is no key.
local function floor_of(post)
  local kept = try('GET', of_partition(post, 'floor'))
  if type(kept) == 'table' then return nil, failure(kept) end
  local floor = revision_of(kept or 0)
  return floor, not floor and DAMAGED or nil, not kept
end
