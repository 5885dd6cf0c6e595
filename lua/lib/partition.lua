-- The keys that all posts of a partition share, and the value of one of them: the floor. The floor
-- is the greatest revision at which a post of the partition became empty. A post of which onetap
-- keeps nothing has the floor as its revision.
--
-- Keys      floor  string: a revision
-- Commands  GET

--- @include "status"

local REVISION_LIMIT = 9007199254740992 -- 2^53: above it a double skips integers

-- A post's key ends in 'p:' and the 36 characters of its id.
local function of_partition(post, name)
  return string.sub(post, 1, -39) .. name
end

-- The revision in a text; nil if the text is not a revision.
local function revision_of(text)
  local revision = tonumber(text)
  return revision and revision >= 0 and revision < REVISION_LIMIT and revision or nil
end

-- The floors that this call knows, by their keys; false for a missing one.
local floors = {}

-- Returns the floor, or nil and a failure. The third value says whether the key is missing.
local function floor_of(post)
  local key = of_partition(post, 'floor')
  local kept = floors[key]
  if kept == nil then
    kept = try('GET', key)
    if type(kept) == 'table' then return nil, failure(kept) end
    floors[key] = kept
  end
  local floor = revision_of(kept or 0)
  return floor, not floor and DAMAGED or nil, not kept
end
