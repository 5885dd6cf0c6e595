-- Drops one reaction of a post. Only a test runs it, to show what a new verb needs.
--
-- KEYS, per post  1 post  2 members: see members.lua
-- Derived keys    floor: see partition.lua
-- ARGV, once      see deadline.lua
-- ARGV, per post  1 reaction  2 not_after, in µs of this server's clock
-- Returns, per post  1 status: see status.lua  2 how many members it removed
-- Flags: allow-oom.
-- Commands  none

--- @include "look"
--- @include "revision"

local function drop(post, members, reaction, not_after)
  local state, previous = look_at(post, not_after)
  if not state then return previous, 0 end
  local removed = count_members(members)
  if removed == 0 then return 0, 0 end
  local revision, text = next_revision(previous)
  if not has_rules(state) and is_last_reaction(post, reaction, state) then
    local _, failed = raise_floor(post, revision, text)
    if failed then return failed, 0 end
    delete_post(post, members)
  else
    delete_members(members)
    write_count(post, reaction, 0, text)
  end
  return CHANGED, removed
end

local answer = { now }
for i = 1, #KEYS, 2 do
  answer[i + 1], answer[i + 2] = drop(KEYS[i], KEYS[i + 1], ARGV[i + 5], ARGV[i + 6])
end
return answer
