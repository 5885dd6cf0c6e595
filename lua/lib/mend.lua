-- Makes counts, rules and revision of a post agree with its members.
--
-- Commands  none

--- @include "look"
--- @include "revision"
--- @include "scores"

-- `right`: the counts that are wrong, as they should be. `kinds`: how many reactions the post has.
-- Returns the new revision, or nil and a failure.
local function mend(post, state, right, kinds, previous, no_floor)
  local revision, text = next_revision(previous)
  local palette = are_rules(state[2]) and state[2]
  local add, locked = are_rules(nil, state[3]) and state[3], are_rules(nil, nil, state[4]) and state[4]
  if kinds == 0 and not (palette or add or locked) then
    local _, problem = raise_floor(post, revision, text)
    if problem then return nil, problem end
    delete_post(post, post)
    return revision
  end
  write_rules(post, text, palette, add, locked)
  write_counts(post, right, text)
  if no_floor then write_first_floor(post) end
  return revision
end
