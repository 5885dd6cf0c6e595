-- Changes the rules of a post: its palette, what may be added, the lock. An argument that is '='
-- keeps what there is; '' is the default.
--
-- KEYS, per post   1 post  see members.lua  2 log  see log.lua
-- Derived keys     floor
-- ARGV, once       see deadline.lua
-- ARGV, per post   1 post id  2 palette  3 add  4 locked: 1, or ''  5 not_after, in µs of this
--                  server's clock  6 the moderator that acts, or ''
-- Returns, per post   1 status: see status.lua  2 the rules: palette, add, locked  3 revision
-- Flags: none.
-- Commands  none
-- The included files run the commands: see their headers.

--- @include "log"
--- @include "look"
--- @include "revision"

local function rule(post, log, id, palette, add, locked, not_after, actor)
  local state, previous, no_floor = look_at(post, not_after)
  if not state then return previous, no_floor, 0 end
  local rules, changes = {}, false
  for i, wanted in ipairs({ palette, add, locked }) do
    local before = state[i + 1] or ''
    rules[i] = wanted == '=' and before or wanted
    changes = changes or rules[i] ~= before
  end
  if not changes then return 0, rules, previous end
  local revision, text = next_revision(previous)
  local ruled = rules[1] .. rules[2] .. rules[3] ~= ''
  local emptied, floor, problem = not ruled and count_kinds(post, state) == 0, nil, nil
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
  end
  local field, what = 'rules', (rules[1] ~= '' and rules[1] or '=') .. ' ' .. rules[2]
  if locked ~= '=' then field, what = 'locked', rules[3] == '1' and '1' or '0' end
  if field == 'rules' and rules[2] == '' then what = what .. 'all' end
  local entry = id .. ' ' .. what .. ' ' .. text .. ' ' .. now_text
  if actor ~= '' then entry = entry .. ' ' .. actor end
  local logged = append(log, entry, field)
  if type(logged) == 'table' then
    if emptied then put_floor_back(post, floor) end
    return failure(logged), 0, 0
  end
  if emptied then
    delete_post(post, post)
  else
    local function set(text_of) return text_of ~= '' and text_of end
    write_rules(post, text, set(rules[1]), set(rules[2]), set(rules[3]))
    if no_floor then write_first_floor(post) end
  end
  return CHANGED, rules, revision
end

local answer, key = { now }, 0
for arg = 5, #ARGV - 6, 6 do
  local at, post, log = #answer, KEYS[key + 1], KEYS[key + 2]
  answer[at + 1], answer[at + 2], answer[at + 3] = rule(post, log, unpack(ARGV, arg + 1, arg + 6))
  key = key + 2
end
return answer
