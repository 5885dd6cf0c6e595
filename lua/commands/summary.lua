-- Reads the summaries of posts: revision, counts, the viewer's own flags, and the newest users of
-- the 100 largest reactions, which are those that an answer names.
--
-- KEYS, per post  1 post     see members.lua
-- Derived keys    the members of each reaction of the post; floor, if the post has no state
-- ARGV, once      1 how much work to do: see read.lua
-- ARGV, per post  1 viewer's user id, or '' for none  2 how many of the newest users to add
-- Returns, per post  1 a failure, or {revision, palette, add, locked, then per reaction: name,
--                   count, 1 if the viewer has it, {user, score, user, score, …} newest first}. The
--                   revision of a post without state is the floor of its partition.
-- Flags: no-writes.
-- Commands  none
-- The included files run the commands: see their headers.

--- @include "read"
--- @include "lists"
--- @include "partition"

local MOST_NAMED, WIDTH = 100, 4

-- By bytes: Lua's < follows the server's locale.
local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- The positions in the table `answer` of the reactions that the HTTP answer will contain: by count
-- descending, then by name.
local function named(answer)
  local places, counts = {}, {}
  for at = 5, #answer, WIDTH do places[#places + 1] = at end
  if #places <= MOST_NAMED then return places end
  for _, at in ipairs(places) do
    local count = tonumber(answer[at + 1]) or 0
    counts[at] = count == count and count or 0 -- Someone else may have written nan.
  end
  local function is_larger(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return is_before(answer[a], answer[b])
  end
  -- Sorting all reactions would take longer than keeping the 100 largest.
  local largest = {}
  for _, place in ipairs(places) do
    local rank = #largest + 1
    while rank > 1 and is_larger(place, largest[rank - 1]) do rank = rank - 1 end
    if rank <= MOST_NAMED then table.insert(largest, rank, place) end
    largest[MOST_NAMED + 1] = nil
  end
  return largest
end

local function summary(post, viewer, recent)
  local answer, problem = { false, '', '', '' }
  local function add(reaction, count)
    local mine, failed = false
    if viewer ~= '' then
      mine, failed = has_member(members_of(post, reaction), viewer)
      problem = problem or failed
      worked(1)
    end
    local at = #answer
    answer[at + 1], answer[at + 2] = reaction, count
    answer[at + 3], answer[at + 4] = mine and 1 or 0, {}
  end
  local revision, failed
  revision, failed, answer[2], answer[3], answer[4] = read_counts(post, add)
  problem = problem or failed
  worked((#answer - 4) / 2 + 1)
  if recent > 0 and not problem then
    for _, at in ipairs(named(answer)) do
      answer[at + 3], failed = read_newest(post, answer[at], 0, recent)
      problem = problem or failed
      worked(failed and 0 or #answer[at + 3])
    end
  end
  if not (revision or problem) then
    local floor
    floor, problem = floor_of(post)
    revision = floor and string.format('%.0f', floor)
  end
  if problem then return problem end
  answer[1] = revision
  return answer
end

return read_each(2, function(post, arg)
  return summary(post, ARGV[arg + 1], tonumber(ARGV[arg + 2]))
end)
