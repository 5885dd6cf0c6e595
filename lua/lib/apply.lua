-- Writes what the edits of an amendment have led to.
--
-- Derived   the hints of each user that an edit names, see hints.lua
-- Commands  none
--
-- Everything that may fail comes before the first write that stays. Only hints may stay before it.

--- @include "edits"
--- @include "hints"
--- @include "log"

-- Writes what the edits have led to. Returns a failure; or nil, and whether the post is empty then.
local function write(run, log, raw, cause, state, no_floor)
  local post, revision, text, counts, problem = run.post, run.revision, run.text, {}, nil
  local users = of_partition(post, 'u:')
  local function hints(user) return users .. run.buckets[user] end
  for reaction, set in pairs(run.sets) do
    if set.touched then counts[reaction] = set.count end
    for user, at in pairs(set.is) do
      if at and not set.was[user] then problem = add_hint(hints(user), user, raw, reaction) end
      if problem then return problem end
    end
  end
  local rules = run.rules
  local after = rules and { state[1], rules[1], rules[2], rules[3] } or state
  local emptied, floor = (next(counts) or rules) and is_emptied(post, after, counts), nil
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return problem end
  end
  for i, entry in ipairs(run.entries) do
    local logged = append(log, entry, run.fields[i] or cause)
    if i == 1 and type(logged) == 'table' then
      if emptied then put_floor_back(post, floor) end
      return failure(logged)
    end
  end
  for reaction, set in pairs(run.sets) do
    local puts, removes = {}, {}
    for user, at in pairs(set.is) do
      if at and at ~= set.was[user] then
        puts[#puts + 1], puts[#puts + 2] = string.format(WHOLE, at), user
      end
      if not at and set.was[user] then
        removes[#removes + 1] = user
        drop_hint(hints(user), user, raw, reaction)
      end
    end
    put_members(set.key, puts)
    remove_members(set.key, removes)
  end
  if emptied then
    delete_post(post, post)
  else
    write_counts(post, counts, text)
    if rules then write_rules(post, text, rules[1], rules[2], rules[3]) end
    if no_floor then write_first_floor(post) end
  end
  return nil, emptied
end
