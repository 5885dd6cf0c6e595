-- The first look at a post: whether the item may run, the state of the post, and its palette.
--
-- Derived   floor  see partition.lua; read if the post has no state
-- Commands  none

--- @include "deadline"
--- @include "members"
--- @include "partition"

-- Whether nobody else has written the rules.
local function are_rules(palette, add, locked)
  return (not palette or string.match(palette, '^[a-z0-9][a-z0-9_-]*$'))
    and (not add or add == 'existing' or add == 'none') and (not locked or locked == '1')
end

-- Returns the state, the revision, and whether the floor is missing; or nil and a failure.
-- `palette`: the one that the service presumes. If the post names another, nothing is judged yet.
local function look_at(post, not_after, palette)
  local problem, state = overdue(not_after), nil
  if problem then return nil, problem, 0 end
  state, problem = stored_state(post)
  if problem then return nil, problem, 0 end
  if has_rules(state) and not are_rules(state[2], state[3], state[4]) then
    return nil, DAMAGED, 0
  end
  local used = state[2] or 'default'
  if palette and palette ~= used then return nil, OTHER_PALETTE, used end
  local previous, no_floor
  if state[1] then
    previous = revision_of(state[1])
  else
    previous, problem, no_floor = floor_of(post)
  end
  if not previous then return nil, problem or DAMAGED, 0 end
  return state, previous, no_floor
end
