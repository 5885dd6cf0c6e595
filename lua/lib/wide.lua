-- A tap that may change several reactions of the user: one of a group, an alias, a moderator's.
--
-- Its answer has details in the place of the count, a text: "COUNT ,COUNTED… NAME=COUNT…": the
-- count; the reactions that were counted, each behind a comma, or a comma alone if the caller named
-- them so; and the other reactions that the user lost, with their counts.
-- Commands  none

--- @include "change"

local function details_of(count, counted, removes, counts, reaction)
  local parts = { count .. ' ,' .. table.concat(counted, ',') }
  for _, other in ipairs(removes) do
    if other ~= reaction then parts[#parts + 1] = other .. '=' .. counts[other] end
  end
  return table.concat(parts, ' ')
end

-- What the tap removes and adds, and whether the user had the reaction; or nil and a failure.
local function plan(turns_on, turns_off, post, user, reaction, verdict)
  local was, problem = has_member(members_of(post, reaction), user)
  if problem then return nil, problem end
  local removes, adds = {}, {}
  local function take(other)
    local has, failed = has_member(members_of(post, other), user)
    problem = problem or failed
    if has then removes[#removes + 1] = other end
  end
  if not was and turns_on then
    for _, kind in ipairs(verdict.group and kinds_of(post) or {}) do
      if kind ~= reaction and excludes(verdict, kind) then take(kind) end
    end
    adds[1] = reaction
  elseif not was or turns_off then
    -- From a time before the name became an alias.
    if verdict.sent then take(verdict.sent) end
    if was then removes[#removes + 1] = reaction end
  end
  if problem then return nil, problem end
  return removes, adds, was
end

-- UNCHANGED, and whether the user has the reaction, if there is nothing to change.
local function wide(turns_on, turns_off, post, log, hints, raw, user, reaction, verdict, state,
                    previous, no_floor)
  local removes, adds, was = plan(turns_on, turns_off, post, user, reaction, verdict)
  if not removes then return adds, 0, 0 end
  if #removes + #adds == 0 then return UNCHANGED, was, 0 end
  -- Counted before the removal: a script must not read a missing key (see tap.lua).
  local count = count_members(members_of(post, reaction))
  local function cause(other) return other == reaction and 'tap' or 'replace' end
  local counts, revision, about = change(post, log, hints, raw, user, verdict, state, previous,
    no_floor, removes, adds, { [reaction] = verdict.allowed }, cause)
  if not counts then return revision, about, 0 end
  count = counts[reaction] or count
  local status = #adds > 0 and ACTIVE + CHANGED or CHANGED
  if not verdict.sent and (#removes == 0 or #removes == 1 and removes[1] == reaction) then
    return status, count, revision
  end
  local counted = verdict.sent and { reaction } or {}
  return status, details_of(count, counted, removes, counts, reaction), revision
end
