-- Forgets one reaction of a post. Only a test runs it, to show what a new verb needs.
--
-- KEYS, per post  1 post  2 members: see members.lua
-- Derived keys    floor: see partition.lua
-- ARGV, once      see deadline.lua
-- ARGV, per post  1 reaction  2 not_after, in µs of this server's clock
-- Returns, per post  1 status: see status.lua  2 how many members it removed
-- Flags: allow-oom.
-- Commands  DEL

--- @include "deadline"
--- @include "members"
--- @include "revision"

local function forget(post, members, reaction, not_after)
  local problem, stored, removed = overdue(not_after)
  if problem then return problem, 0 end
  stored, problem = stored_revision(post)
  if problem then return problem, 0 end
  removed = count_members(members)
  if removed == 0 then return 0, 0 end
  local revision, text = next_revision(revision_of(stored or 0) or 0)
  if is_last_reaction(post, reaction, stored) then
    local _, failed = raise_floor(post, revision, text)
    if failed then return failed, 0 end
    delete_post(post, members)
  else
    call('DEL', members)
    write_count(post, reaction, 0, text)
  end
  return CHANGED, removed
end

local answer = { now }
for i = 1, #KEYS, 2 do
  answer[i + 1], answer[i + 2] = forget(KEYS[i], KEYS[i + 1], ARGV[i + 5], ARGV[i + 6])
end
return answer
