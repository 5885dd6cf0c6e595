-- A batch of audits: compares counts, members, rules and revision of a post, and the index with members
-- of it.
--
-- KEYS, per post   1 post  see members.lua
-- Derived keys     the members of each reaction of the post, and of those that the caller has seen;
--                  the hints of the users that the caller names; floor
-- ARGV, once       see deadline.lua
-- ARGV, per post   1 post id as 16 bytes  2 not_after, in µs of this server's clock
--                  3 reactions of which the caller has seen members, with a space before each
--                  4 how many members to look up in the index; for each of them follow its
--                    reaction, its user, and the bucket of the user
-- Returns, per post   1 status: see status.lua; CHANGED if this repaired something
--                  2 what does not agree: {kind, reaction or what, count, members, …}
--                  3 revision
-- Commands  none

--- @include "hints"
--- @include "lists"
--- @include "mend"

local FIXED, PER_MEMBER = 4, 3

-- What the post shows to readers; or nil and a failure.
local function shown(post)
  local counts, state = {}, {}
  local revision, problem, palette, add, locked = read_counts(post, function(name, count)
    counts[name] = count
  end)
  if problem then return nil, problem end
  for i, text in ipairs({ revision or '', palette, add, locked }) do
    state[i] = text ~= '' and text
  end
  return counts, state
end

local function compare(post, counts, state, seen, note)
  local right, kinds = {}, 0
  for name in string.gmatch(seen, '%S+') do counts[name] = counts[name] or false end
  for name, text in pairs(counts) do
    local members, problem = count_members(members_of(post, name))
    if problem then
      note('damaged', name, 0, 0)
      kinds = kinds + 1
    else
      local count = text and tonumber(text) or 0
      if text ~= string.format('%d', members) and (text or members > 0) then
        note('count', name, count >= 0 and count < REVISION_LIMIT and count or 0, members)
        right[name] = members
      end
      if members > 0 then kinds = kinds + 1 end
    end
  end
  return right, kinds
end

-- Looks members up in the index, and adds what is missing there. Returns how many that are, or nil
-- and a failure.
local function look_up(post, raw, arg, most, repairs)
  local missing = 0
  for at = arg, arg + PER_MEMBER * (most - 1), PER_MEMBER do
    local reaction, user = ARGV[at], ARGV[at + 1]
    local hints = of_partition(post, 'u:' .. ARGV[at + 2])
    if score_of(members_of(post, reaction), user) then
      local has, problem = has_hint(hints, user, raw, reaction)
      if not has and repairs and not problem then problem = add_hint(hints, user, raw, reaction) end
      if problem then return nil, problem end
      if not has then missing = missing + 1 end
    end
  end
  return missing
end

local function audit(repairs, post, raw, not_after, seen, most, arg)
  local problem, drift = overdue(not_after), {}
  if problem then return problem, 0, 0 end
  local function note(...) for _, part in ipairs({ ... }) do drift[#drift + 1] = part end end
  local counts, state = shown(post)
  if state == REFUSED then return REFUSED, 0, 0 end
  if not counts then
    note('damaged', 'its hash', 0, 0) -- Its members may be sound.
    local missing, failed = look_up(post, raw, arg, most, repairs)
    if failed then return failed, 0, 0 end
    if missing > 0 then note('index', '', missing, 0) end
    return repairs and missing > 0 and CHANGED or 0, drift, 0
  end
  local right, kinds = compare(post, counts, state, seen, note)
  local own, floor, _, no_floor = state[1] and revision_of(state[1]) or nil, floor_of(post)
  local revision, is_kept = own or floor, kinds > 0 or has_rules(state)
  if not revision then return DAMAGED, 0, 0 end
  local sound = next(right) == nil
  if not are_rules(state[2], state[3], state[4]) then
    sound = false
    note('rules', '', 0, 0)
  end
  if is_kept and not own or state[1] and not is_kept then
    sound = false
    note('revision', '', 0, 0)
  end
  local missing
  missing, problem = look_up(post, raw, arg, most, repairs)
  if problem then return problem, 0, 0 end
  if missing > 0 then note('index', '', missing, 0) end
  if not repairs then return 0, drift, revision end
  if sound then return missing > 0 and CHANGED or 0, drift, revision end
  revision, problem = mend(post, state, right, kinds, revision, no_floor)
  if problem then return problem, 0, 0 end
  return CHANGED, drift, revision
end

local function audits(repairs)
  local answer, key, arg = { now }, 0, 5
  while arg < #ARGV do
    local at, most = #answer, tonumber(ARGV[arg + 4])
    key = key + 1
    answer[at + 1], answer[at + 2], answer[at + 3] = audit(repairs, KEYS[key], ARGV[arg + 1],
      ARGV[arg + 2], ARGV[arg + 3], most, arg + FIXED + 1)
    arg = arg + FIXED + PER_MEMBER * most
  end
  return answer
end
