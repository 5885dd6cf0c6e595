-- The next revision of a post, and the floor, which rises when a post becomes empty. The script
-- deletes an empty post, so that it takes no memory. The post's next change gets a revision above
-- the floor.
--
-- Keys      floor  string: see partition.lua
-- Commands  DEL SET

--- @include "clock"
--- @include "partition"

-- If the clock is not ahead of the previous revision, the next revision is 1 to 1,024 above it, and
-- the clock chooses how much. A failover may lose changes, and other changes then follow. So these
-- seldom get the revisions of the lost ones.
local function next_revision(previous)
  if now > previous then return now, now_text end
  local revision = previous + 1 + now % 1024
  return revision, string.format(WHOLE, revision)
end

-- Raises the floor to a revision. Returns the old floor, or nil and a failure.
local function raise_floor(post, revision, text)
  local key = of_partition(post, 'floor')
  local before = try('SET', key, text, 'GET')
  if type(before) == 'table' then return nil, failure(before) end
  local is_higher = before and (tonumber(before) or 0) > revision
  if is_higher then call('SET', key, before) end
  floors[key] = is_higher and before or text
  return before
end

local function put_floor_back(post, before)
  local key = of_partition(post, 'floor')
  floors[key] = before
  if before then call('SET', key, before) else call('DEL', key) end
end

-- While a cluster slot moves to another node, a script must not read a missing key. So the script
-- writes the floor before the first post of a partition can become empty.
local function write_first_floor(post)
  local key = of_partition(post, 'floor')
  floors[key] = '0'
  call('SET', key, '0')
end
