-- Reads a page of the reactors of a post, of one reaction or of all.
--
-- KEYS, per page  1 post     hash, as in prelude_tap.lua
-- Derived keys    post .. ':' .. reaction for the reaction asked, or for each of the post: its
--                 members, of the same slot
-- ARGV, once      1 how much work to do in this call; see prelude_read.lua
-- ARGV, per page  1 reaction, or '' for all
--                 2 score and 3 user id of the place to go on from, both '' for the newest
--                 4 how many to take of each reaction
-- Returns, per page  1 a failure, or {user, score, reaction, …}: of each reaction the newest at or
--                   below the place. The reader merges reactions and drops the place itself.
--
-- However deep the place, the cost is O(log N + taken): ranks are counted, never walked.

-- The rank, newest first, of the first member at or below (score, user). Users of one score are in
-- byte order; comparing strings of digits is the same in every locale.
local function rank_at_or_below(members, score, user)
  local low = call('ZCOUNT', members, '(' .. score, '+inf')
  local high = low + call('ZCOUNT', members, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = call('ZRANGE', members, middle, middle, 'REV')[1]
    if found > user then low = middle + 1 else high = middle end
  end
  return low
end

local function take(answer, members, reaction, score, user, count)
  local type_of = call('TYPE', members).ok
  if type_of ~= 'zset' then return type_of == 'none' or DAMAGED end
  local first = score == '' and 0 or rank_at_or_below(members, score, user)
  local found = call('ZRANGE', members, first, first + count - 1, 'REV', 'WITHSCORES')
  worked(#found)
  for i = 1, #found, 2 do
    local at = #answer
    answer[at + 1], answer[at + 2], answer[at + 3] = found[i], found[i + 1], reaction
  end
  return true
end

local function page(post, wanted, score, user, count)
  local names = { wanted }
  if wanted == '' then
    names = try('HKEYS', post)
    if names.err then return failure(names) end
  end
  local answer = {}
  for _, name in ipairs(names) do
    if name ~= '_rev' then
      local taken = take(answer, post .. ':' .. name, name, score, user, count)
      if taken ~= true then return taken end
    end
  end
  return answer
end

return read_each(4, function(post, arg)
  local reaction, score, user, count = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4]
  return page(post, reaction, score, user, tonumber(count))
end)
