-- Reads a page of the reactors of a post, of one reaction or of all.
--
-- KEYS, per page  1 post     see members.lua
-- Derived keys    the members of the reaction asked for, or of each reaction of the post
-- ARGV, once      1 how much work to do: see read.lua
-- ARGV, per page  1 reaction, or '' for all
--                 2 score and 3 user id of the place to go on from, both '' for the newest
--                 4 how many to take of each reaction
-- Returns, per page  1 a failure, or {user, score, reaction, …}: of each reaction the newest at or
--                   below the place. The reader merges the reactions and drops the place itself.
-- Flags: no-writes.
-- Commands  none
-- The included files run the commands: see their headers.
--
-- However deep the place, the cost is O(log N + taken): ranks are counted, never walked.

--- @include "read"
--- @include "lists"

local function page(post, wanted, score, user, count)
  local answer, problem = {}
  local function take(reaction)
    local rank, found = 0
    if score ~= '' then rank, problem = rank_of(post, reaction, score, user) end
    if not problem then found, problem = read_newest(post, reaction, rank, count) end
    if problem then return end
    worked(#found)
    for i = 1, #found, 2 do
      local at = #answer
      answer[at + 1], answer[at + 2], answer[at + 3] = found[i], found[i + 1], reaction
    end
  end
  if wanted ~= '' then
    take(wanted)
    return problem or answer
  end
  local _, failed = read_counts(post, function(reaction)
    if not problem then take(reaction) end
  end)
  return failed or problem or answer
end

return read_each(4, function(post, arg)
  local reaction, score, user, count = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  return page(post, reaction, score, user, tonumber(count))
end)
