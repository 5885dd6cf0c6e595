-- Whether the rules of a post let a user add reactions. What is held stays legal: only additions
-- are judged, by the state that they lead to.
-- Commands  none

--- @include "members"
--- @include "verdict"

-- How many reactions of a post a user has, this one left out; or nil and a failure.
local function held_besides(post, user, reaction)
  local held = 0
  for _, kind in ipairs(kinds_of(post)) do
    if kind ~= reaction then
      local has, problem = has_member(members_of(post, kind), user)
      if problem then return nil, problem end
      if has then held = held + 1 end
    end
  end
  return held
end

-- Judges one reaction that would have `count` members. `add`: what this user may add at most.
local function judge_one(state, allowed, count, add)
  if state[4] or state[3] == 'none' or add == 'n' then return LOCKED end
  if not allowed then return NOT_IN_PALETTE end
  return (state[3] == 'existing' or add == 'e') and count == 1 and NOBODY_HAS or nil
end

-- Judges the numbers. `new` and `gone`: how many reactions the post gets and loses; `more`: how
-- many more the user has then. `reaction`: one that the user has been given already, if any.
local function judge_limits(post, state, verdict, user, new, gone, more, reaction)
  local kinds = count_kinds(post, state) + new
  if new > gone and kinds - gone > verdict.kinds then return TOO_MANY_KINDS end
  if more <= 0 or kinds <= verdict.each then return end
  local held, problem = held_besides(post, user, reaction)
  if problem then return problem end
  if held + more > verdict.each then return TOO_MANY_OF_USER end
end
