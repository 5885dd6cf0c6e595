-- A batch of whole sets: afterwards the user has exactly these reactions on the post.
--
-- KEYS, per set   1 post     see members.lua
--                 2 log      see log.lua
--                 3 hints    see hints.lua: of the user's bucket
--                 4 record   see record.lua; only for a set that has a form
-- Derived keys    the members of each reaction of the post and of the set; floor; full
-- ARGV, once      see deadline.lua
-- ARGV, per set   1 post id as 16 bytes  2 user id  3 not_after, in µs of this server's clock
--                 4 form of the request, a letter; '' without idempotency key
--                 5 verdict: see verdict.lua
--                 6 the set as the caller named it: see record.lua
--                 7 the set as it is counted: "1NAME 0NAME …", 1 if it may be added
-- Returns, per set   1 status: see status.lua  2 details: see wide.lua  3 revision
-- Commands  none

--- @include "wide"
--- @include "record"

-- What to remove and to add; or nil and a failure.
local function plan_whole(post, user, wanted, wants)
  local removes, adds, problem = {}, {}, nil
  local function has(reaction)
    local held, failed = has_member(members_of(post, reaction), user)
    problem = problem or failed
    return held
  end
  for _, kind in ipairs(kinds_of(post)) do
    if wants[kind] == nil and has(kind) then removes[#removes + 1] = kind end
  end
  for _, reaction in ipairs(wanted) do
    if not has(reaction) then adds[#adds + 1] = reaction end
  end
  if problem then return nil, problem end
  return removes, adds
end

local function whole(post, log, hints, raw, user, not_after, verdict, set)
  local state, revision, no_floor = look_at(post, not_after, verdict.palette)
  if not state then return revision, no_floor, 0 end
  if verdict.contradicts then return CONTRADICTS, 0, 0 end
  local wanted, wants = {}, {}
  for allowed, reaction in string.gmatch(set, '([01])(%S+)') do
    wanted[#wanted + 1], wants[reaction] = reaction, allowed == '1'
  end
  local removes, adds = plan_whole(post, user, wanted, wants)
  if not removes then return adds, 0, 0 end
  local changes = #removes + #adds > 0
  if changes then
    local counts, about
    counts, revision, about = change(post, log, hints, raw, user, verdict, state, revision, no_floor,
      removes, adds, wants, function() return 'replace' end)
    if not counts then return revision, about, 0 end
  end
  local status = (#wanted > 0 and ACTIVE or 0) + (changes and CHANGED or 0)
  return status, details_of(0, wanted, {}), revision
end

local function whole_sets()
  local answer, at, key = { now }, 1, 0
  for arg = 5, #ARGV - 7, 7 do
    local post, log, hints = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
    local raw, user, not_after, form, verdict, named, set = unpack(ARGV, arg + 1, arg + 7)
    verdict = verdict_of(verdict)
    local status, details, revision
    if form == '' then
      status, details, revision = whole(post, log, hints, raw, user, not_after, verdict, set)
    else
      status, details, revision = once(KEYS[key + 4], form, named, post, whole,
        post, log, hints, raw, user, not_after, verdict, set)
      key = key + 1
    end
    key = key + 3
    answer[at + 1], answer[at + 2], answer[at + 3] = status, details, revision
    at = at + 3
  end
  return answer
end
