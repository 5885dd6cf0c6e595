-- The next revision of a post, and the floor that rises when a post becomes empty. An empty post is
-- deleted, so that it takes no memory; its next change gets a revision above the floor.
--
-- Keys      floor  string: see partition.lua
-- Commands  DEL SET

--- @include "clock"
--- @include "partition"

-- Where the clock is behind the previous revision, the step depends on the clock. A failover may
-- lose one of two histories; they then hardly ever give out the same revision.
local function next_revision(previous)
  if now > previous then return now, now_text end
  local revision = previous + 1 + now % 1024
  return revision, string.format('%.0f', revision)
end

-- Raises the floor to a revision. Answers the floor before, or nil and a failure.
local function raise_floor(post, revision, text)
  local key = of_partition(post, 'floor')
  local before = try('SET', key, text, 'GET')
  if type(before) == 'table' then return nil, failure(before) end
  if before and (tonumber(before) or 0) > revision then call('SET', key, before) end
  return before
end

local function put_floor_back(post, before)
  local key = of_partition(post, 'floor')
  if before then call('SET', key, before) else call('DEL', key) end
end

-- In a slot that moves to another node of a cluster a script may not read a key that is missing, so
-- the floor is written before the first post of a partition can become empty.
local function write_first_floor(post)
  call('SET', of_partition(post, 'floor'), '0')
end
