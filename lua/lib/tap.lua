-- One tap: changes a flag and moves its count in one step.
--
-- KEYS, per tap   1 post     see members.lua
--                 2 members  see members.lua
--                 3 log      see log.lua
--                 4 record   see record.lua; only for a tap that has a form
-- Derived keys    floor      see partition.lua; read if the post has no state, written when it
--                            becomes empty
--                 full       see record.lua; only by unset_full
-- ARGV, once      see deadline.lua
-- ARGV, per tap   1 post id  2 user id  3 reaction  4 not_after, in µs of this server's clock
--                 5 form of the request, a letter; '' for a tap without idempotency key
-- Returns, per tap   1 status: see status.lua  2 count  3 revision
-- Commands  none
--
-- A script is atomic but does not roll back. So everything that may fail comes before the first
-- write that stays: the reads of post and members, SET GET at the floor, then XADD, which fails as
-- a whole if the log is not a stream. If XADD fails, the script takes back what it wrote before.

--- @include "deadline"
--- @include "members"
--- @include "revision"
--- @include "log"

-- A tap without effect writes nothing, unless someone else falsified the count. Then it corrects
-- the count and raises the revision, because readers see a change.
local function unchanged(post, members, reaction, active, stored, previous)
  local count = count_members(members)
  local status = active and ACTIVE or 0
  if stored_count(post, reaction) == count then return status, count, previous end
  local revision, text = next_revision(previous)
  if count == 0 and is_last_reaction(post, reaction, stored) then
    local _, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
    delete_post(post, members)
  else
    write_count(post, reaction, count, text)
  end
  return status, count, revision
end

local function tap(turns_on, turns_off, post, members, log, id, user, reaction, not_after)
  local problem, stored, previous, no_floor = overdue(not_after)
  if problem then return problem, 0, 0 end
  stored, problem = stored_revision(post)
  previous = stored and revision_of(stored)
  if not (stored or problem) then previous, problem, no_floor = floor_of(post) end
  if not previous then return problem or DAMAGED, 0, 0 end

  local was
  if turns_on then was, problem = add_member(members, user) else was, problem = has_member(members, user) end
  if problem then return problem, 0, 0 end
  if was and not turns_off or not was and not turns_on then
    return unchanged(post, members, reaction, was, stored, previous)
  end

  local revision, text = next_revision(previous)
  -- Counted before the removal: the key goes with its last member, and in a cluster slot that moves
  -- to another node a script may not read a missing key.
  local count = count_members(members) - (was and 1 or 0)
  local emptied, floor = count == 0 and is_last_reaction(post, reaction, stored)
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
  end
  local entry = id .. ' ' .. user .. ' ' .. reaction .. (was and ' 0 ' or ' 1 ') .. text
  if revision > now then entry = entry .. ' ' .. now_text end
  local logged = append(log, entry)
  if type(logged) == 'table' then
    if not was then remove_member(members, user) end
    if emptied then put_floor_back(post, floor) end
    return failure(logged), 0, 0
  end

  if emptied then delete_post(post, members) return CHANGED, 0, revision end
  if no_floor then write_first_floor(post) end
  if was then remove_member(members, user) end
  write_count(post, reaction, count, text)
  return was and CHANGED or ACTIVE + CHANGED, count, revision
end
