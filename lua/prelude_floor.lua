-- Prelude of the tap scripts, before the taps: revisions, and the floor that a partition has for its
-- posts without state. A post that becomes empty is deleted, so that what is gone takes no memory;
-- its revision raises the floor, above which its next change will lie.
-- KEYS, ARGV, returns: see prelude_tap.lua.

-- Where the clock is behind the previous revision, the step depends on the clock: two histories that
-- part (one is lost in a failover) then hardly ever give out the same revision.
local function next_revision(previous)
  if now > previous then return now, now_text end
  local revision = previous + 1 + now % 1024
  return revision, string.format('%.0f', revision)
end

-- Whether nothing is left of a post without one of its reactions: `stored` is its revision, if it
-- has one. That the other field of two is the reaction is not taken for granted.
local function is_last(post, reaction, stored)
  local others = call('HLEN', post) - (stored and 1 or 0)
  return others < 1 or others == 1 and call('HEXISTS', post, reaction) == 1
end

-- Raises the floor to a revision. Answers how it was, or a failure.
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
