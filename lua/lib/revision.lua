-- The next revision of a post, and the floor, which rises when a post becomes empty. The script
-- deletes an empty post, so that it takes no memory. The post's next change gets a revision above
-- the floor.
--
-- Keys      floor  string: see partition.lua
-- Commands  DEL SET

--- @include "clock"
--- @include "partition"

-- If the clock is behind the previous revision, the step depends on the clock. So two histories of
-- which a failover loses one hardly ever give out the same revision.
local function next_revision(previous)
  if now > previous then return now, now_text end
  local revision = previous + 1 + now % 1024
  return revision, string.format('%.0f', revision)
end

-- Raises the floor to a revision. Returns the old floor, or nil and a failure.
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

-- In a cluster slot that moves to another node, a script may not read a missing key. So the floor
-- is written before the first post of a partition can become empty.
local function write_first_floor(post)
  call('SET', of_partition(post, 'floor'), '0')
end
