-- Reads counts and lists of members: what a read answers, and a tap does not need.
--
-- Keys      see members.lua
-- Commands of reads  HGETALL ZCOUNT ZRANGE

--- @include "bytes"
--- @include "members"

-- Calls `each(reaction, count)`. Returns the revision, false if the post has no state; a failure;
-- and palette, add and locked.
local function read_counts(post, each)
  local fields, own = try('HGETALL', post), {}
  for i = 1, #fields, 2 do
    local name = fields[i]
    local value = fields[i + 1]
    if string.sub(name, 1, 1) == '_' then own[name] = value else each(name, value) end
  end
  local revision, problem = checked(fields, own._rev or false)
  return revision, problem, own._palette or '', own._add or '', own._locked or ''
end

-- {user, score, …} of `count` members, newest first, from a rank on.
local function read_newest(post, reaction, rank, count)
  local members, last = members_of(post, reaction), rank + count - 1
  local found = try('ZRANGE', members, rank, last, 'REV', 'WITHSCORES')
  return checked(found, found)
end

-- The rank, newest first, of the first member at or below (score, user), by the bytes of the user.
local function rank_of(post, reaction, score, user)
  local members = members_of(post, reaction)
  local low = try('ZCOUNT', members, '(' .. score, '+inf')
  if type(low) == 'table' then return checked(low) end
  local high = low + call('ZCOUNT', members, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = call('ZRANGE', members, middle, middle, 'REV')[1]
    if is_above(found, user) then low = middle + 1 else high = middle end
  end
  return low
end
