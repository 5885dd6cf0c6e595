-- Removes every member of a post, or of one reaction of it, and keeps the rules. With all members
-- the mark of imports goes. It adds one entry to the log and frees more, so Redis lets it run when
-- memory is full.
--
-- KEYS, per post   1 post  see members.lua  2 log  see log.lua
--                  3 marks  see marks.lua; only for a forgetting of all reactions
-- Derived keys     the members of each reaction that is forgotten; floor
-- ARGV, once       see deadline.lua
-- ARGV, per post   1 post id  2 reaction, or '' for all  3 not_after, in µs of this server's clock
--                  4 the moderator that acts, or ''
-- Returns, per post   1 status: see status.lua  2 how many members went  3 revision
-- Flags: allow-oom.
-- Commands  none
-- The included files run the commands: see their headers.

--- @include "log"
--- @include "look"
--- @include "marks"
--- @include "revision"

-- What goes, how many members that are, and whether nothing else stays; or nil and a failure.
local function plan(post, reaction)
  local names, removed, others = {}, 0, false
  for _, kind in ipairs(kinds_of(post)) do
    if reaction == '' or kind == reaction then
      names[#names + 1] = kind
      local size, problem = count_members(members_of(post, kind))
      if problem then return nil, problem end
      removed = removed + size
    else
      others = true
    end
  end
  return names, removed, others
end

-- The mark goes once nothing can fail any more.
local function forget(post, log, marks, id, reaction, not_after, actor)
  local state, previous, no_floor = look_at(post, not_after)
  if not state then return previous, no_floor, 0 end
  local names, removed, others = plan(post, reaction)
  if not names then return removed, 0, 0 end
  local raw, mark, damage = marks and packed(id), nil, nil
  if marks then mark, damage = mark_of(marks, raw) end
  if damage then return damage, 0, 0 end
  if #names == 0 then
    delete_mark(marks, raw, mark)
    return 0, 0, previous
  end
  local revision, text = next_revision(previous)
  local emptied, floor, problem = not (others or has_rules(state)), nil, nil
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
  end
  local what = reaction == '' and '*' or reaction
  local entry = id .. ' ' .. what .. ' ' .. text .. ' ' .. now_text
  if actor ~= '' then entry = entry .. ' ' .. actor end
  local logged = append(log, entry, 'forgotten')
  if type(logged) == 'table' then
    if emptied then put_floor_back(post, floor) end
    return failure(logged), 0, 0
  end
  for _, name in ipairs(names) do
    delete_members(members_of(post, name))
    if not emptied then write_count(post, name, 0, text) end
  end
  if emptied then delete_post(post, post) end
  delete_mark(marks, raw, mark)
  return CHANGED, removed, revision
end

local answer, key = { now }, 0
for arg = 5, #ARGV - 4, 4 do
  local at = #answer
  local whole = ARGV[arg + 2] == ''
  answer[at + 1], answer[at + 2], answer[at + 3] = forget(KEYS[key + 1], KEYS[key + 2],
    whole and KEYS[key + 3], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4])
  key = key + (whole and 3 or 2)
end
return answer
