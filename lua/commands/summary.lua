-- Reads the summaries of posts: revision, counts, the viewer's own flags, the newest users.
--
-- KEYS, per post  1 post     see members.lua
-- Derived keys    the members of each reaction of the post; floor, if the post has no state
-- ARGV, once      1 how much work to do: see read.lua
-- ARGV, per post  1 viewer's user id, or '' for none  2 how many of the newest users to add
-- Returns, per post  1 a failure, or {revision, then per reaction: name, count, 1 if the viewer
--                   has it, {user, score, user, score, …} newest first}. The revision of a post
--                   without state is the floor of its partition.
-- Flags: no-writes.
-- Commands  none

--- @include "read"
--- @include "members"
--- @include "partition"

local function summary(post, viewer, recent)
  local answer, problem = { false }
  local function add(reaction, count)
    local mine, newest, failed = false, {}
    if viewer ~= '' then
      mine, failed = read_mine(post, reaction, viewer)
      problem = problem or failed
      worked(1)
    end
    if recent > 0 then
      newest, failed = read_newest(post, reaction, 0, recent)
      problem = problem or failed
      worked(newest and #newest or 0)
    end
    local at = #answer
    answer[at + 1], answer[at + 2] = reaction, count
    answer[at + 3], answer[at + 4] = mine and 1 or 0, newest
  end
  local revision, failed = read_counts(post, add)
  problem = problem or failed
  worked((#answer - 1) / 2 + 1)
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
