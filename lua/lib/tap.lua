-- One tap: changes a flag and moves its count in one step.
--
-- KEYS, per tap   1 post     see members.lua
--                 2 members  see members.lua
--                 3 log      see log.lua
--                 4 hints    see hints.lua: of the user's bucket
--                 5 record   see record.lua; only for a tap that has a form
-- Derived keys    floor      see partition.lua; read if the post has no state, written when it
--                            becomes empty
--                 full       see record.lua; only by unset_full
--                 members    of the post's other reactions, if the palette has a group or an alias
-- ARGV, once      see deadline.lua
-- ARGV, per tap   1 post id as 16 bytes  2 user id  3 reaction, as it is counted
--                 4 not_after, in µs of this server's clock
--                 5 form of the request, a letter; '' for a tap without idempotency key
--                 6 verdict: see verdict.lua
-- Returns, per tap   1 status: see status.lua  2 count, or details: see wide.lua  3 revision
-- Commands  none
--
-- A script is atomic but does not roll back. So everything that may fail comes before the first
-- write that stays: the reads of post and members, SET GET at the floor, then XADD, which fails as
-- a whole if the log is not a stream. If XADD fails, the script takes back what it wrote before.

--- @include "wide"

-- A tap without effect writes nothing, unless someone else falsified the count. Then it corrects
-- the count and raises the revision, because readers see a change.
local function unchanged(post, members, reaction, active, state, previous)
  local count = count_members(members)
  local status = active and ACTIVE or 0
  if stored_count(post, reaction) == count then return status, count, previous end
  local revision, text = next_revision(previous)
  if count == 0 and not has_rules(state) and is_last_reaction(post, reaction, state) then
    local _, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
    delete_post(post, members)
  else
    write_count(post, reaction, count, text)
  end
  return status, count, revision
end

local function tap(turns_on, turns_off, post, members, log, hints, raw, user, reaction, not_after,
                   verdict)
  local state, previous, no_floor = look_at(post, not_after, verdict.palette)
  if not state then return previous, no_floor, 0 end
  -- A tap that may add nothing writes nothing, not even for a moment.
  local was, problem
  local barred = turns_on and (has_rules(state) or not verdict.allowed)
    and judge_one(state, verdict.allowed, 0)
  if not verdict.plain then
    local status, count, revision = wide(turns_on, turns_off, post, log, hints, raw, user,
      reaction, verdict, state, previous, no_floor)
    if status ~= UNCHANGED then return status, count, revision end
    was = count
  elseif turns_on and not barred then
    was, problem = add_member(members, user)
  else
    was, problem = has_member(members, user)
  end
  if problem then return problem, 0, 0 end
  if was and not turns_off or not was and not turns_on then
    local status, count, revision = unchanged(post, members, reaction, was, state, previous)
    if verdict.sent and status >= 0 then count = details_of(count, { reaction }, {}) end
    return status, count, revision
  end

  -- Counted before the removal: the key goes with its last member, and while a cluster slot moves
  -- to another node a script must not read a missing key.
  local count = count_members(members) - (was and 1 or 0)
  if not was then
    if barred then return barred, reaction, 0 end
    local new = count == 1 and 1 or 0
    problem = new == 1 and state[3] == 'existing' and NOBODY_HAS
      -- No limit is below one, so the first reaction of a post is within all of them.
      or state[1] and judge_limits(post, state, verdict, user, new, 0, 1, reaction)
      or add_hint(hints, user, raw, reaction)
    if problem then
      remove_member(members, user)
      return problem, reaction, 0
    end
  end
  local revision, text = next_revision(previous)
  local emptied, floor = count == 0 and not has_rules(state)
    and is_last_reaction(post, reaction, state)
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
  end
  local id = string.sub(post, -36)
  local entry = id .. ' ' .. user .. ' ' .. reaction .. (was and ' 0 ' or ' 1 ') .. text
  if revision > now then entry = entry .. ' ' .. now_text end
  local logged = append(log, entry, 'tap')
  if type(logged) == 'table' then
    if not was then remove_member(members, user) end
    if emptied then put_floor_back(post, floor) end
    return failure(logged), 0, 0
  end

  if was then drop_hint(hints, user, raw, reaction) end
  if emptied then delete_post(post, members) return CHANGED, 0, revision end
  if no_floor then write_first_floor(post) end
  if was then remove_member(members, user) end
  write_count(post, reaction, count, text)
  return was and CHANGED or ACTIVE + CHANGED, count, revision
end
