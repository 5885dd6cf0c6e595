-- The rules that an amendment states. Nothing is written here.
--
-- Commands  none

--- @include "edits"

-- Notes the entries of the log and the rules afterwards. Returns the letter of the outcome: u
-- unchanged, m changed, l left out, since the post keeps its own. `rules`: palette, add and locked,
-- each followed by a space but the last; '' is a default.
local function state_rules(run, state, rules, is_kept)
  local palette, add, locked = string.match(rules, '^(%S*) (%S*) (%S*)$')
  local same = (state[2] or '') == palette and (state[3] or '') == add
  local same_lock = (state[4] or '') == locked
  if same and same_lock then return 'u' end
  if is_kept then return 'l' end
  local function note(field, what)
    run.revision, run.text = next_revision(run.revision)
    local at = #run.entries + 1
    run.entries[at] = run.head .. what .. ' ' .. run.text .. ' ' .. now_text .. run.actor
    run.fields[at] = field
  end
  if not same_lock then note('locked', locked == '1' and '1' or '0') end
  if not same then
    note('rules', (palette ~= '' and palette or '=') .. ' ' .. (add ~= '' and add or 'all'))
  end
  local function set(text) return text ~= '' and text end
  run.rules = { set(palette), set(add), set(locked) }
  return 'm'
end
