-- Changes several flags of a user on a post in one step.
--
-- Derived   the members of each reaction that is added or removed; floor, see partition.lua
-- Commands  none
--
-- The caller has looked at the members of each of these reactions. The first entry of the log is
-- the last command that may fail, and nothing looks at a key that is gone by then.

--- @include "hints"
--- @include "judge"
--- @include "log"
--- @include "look"
--- @include "revision"

-- Judges what is added. Returns a failure and the reaction that it is about.
local function judge(post, state, verdict, user, removes, adds, allowed, counts)
  local new, gone = 0, 0
  for _, reaction in ipairs(adds) do
    local problem = judge_one(state, allowed[reaction], counts[reaction], verdict.add)
    if problem then return problem, reaction end
    if counts[reaction] == 1 then new = new + 1 end
  end
  for _, reaction in ipairs(removes) do if counts[reaction] == 0 then gone = gone + 1 end end
  return judge_limits(post, state, verdict, user, new, gone, #adds - #removes), 0
end

-- Returns the counts afterwards and the revision; or nil, a failure, and what it is about.
-- `cause(reaction, active)`: the word for the log. `allowed`: what may be added.
local function change(post, log, hints, raw, user, verdict, state, previous, no_floor, removes, adds,
                      allowed, cause)
  local counts, entries, revision, text = {}, {}, previous, nil
  local id = string.sub(post, -36)
  for _, reaction in ipairs(removes) do
    counts[reaction] = count_members(members_of(post, reaction)) - 1
  end
  for _, reaction in ipairs(adds) do
    counts[reaction] = count_members(members_of(post, reaction)) + 1
  end
  if #adds > 0 then
    local problem, about = judge(post, state, verdict, user, removes, adds, allowed, counts)
    if problem then return nil, problem, about end
  end
  for _, reaction in ipairs(adds) do
    local problem = add_hint(hints, user, raw, reaction)
    if problem then return nil, problem, 0 end
  end
  local function note(reaction, active)
    revision, text = next_revision(revision)
    local entry = id .. ' ' .. user .. ' ' .. reaction .. (active and ' 1 ' or ' 0 ') .. text
    if revision > now or verdict.actor then entry = entry .. ' ' .. now_text end
    if verdict.actor then entry = entry .. ' ' .. verdict.actor end
    entries[#entries + 1] = { verdict.actor and 'moderate' or cause(reaction, active), entry }
  end
  for _, reaction in ipairs(removes) do note(reaction, false) end
  for _, reaction in ipairs(adds) do note(reaction, true) end

  local emptied, floor, problem = is_emptied(post, state, counts), nil, nil
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return nil, problem, 0 end
  end
  for i, entry in ipairs(entries) do
    local logged = append(log, entry[2], entry[1])
    if i == 1 and type(logged) == 'table' then
      if emptied then put_floor_back(post, floor) end
      return nil, failure(logged), 0
    end
  end
  for _, reaction in ipairs(removes) do remove_member(members_of(post, reaction), user) end
  for _, reaction in ipairs(adds) do add_member(members_of(post, reaction), user) end
  for _, reaction in ipairs(removes) do drop_hint(hints, user, raw, reaction) end
  if emptied then
    delete_post(post, post)
  else
    for reaction, count in pairs(counts) do write_count(post, reaction, count, text) end
    if no_floor then write_first_floor(post) end
  end
  return counts, revision
end
