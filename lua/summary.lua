-- Reads the summaries of posts: revision, counts, the viewer's own flags, the newest users.
--
-- KEYS, per post  1 post     hash, as in prelude_tap.lua
-- Derived keys    post .. ':' .. reaction for each reaction of the post: its members; floor, if the
--                 post has no state: all of the same slot
-- ARGV, once      1 how much work to do in this call; see prelude_read.lua
-- ARGV, per post  1 viewer's user id, or '' for none  2 how many of the newest users to add
-- Returns, per post  1 a failure, or {revision, then per reaction: name, count, 1 if the viewer
--                   has it, {user, score, user, score, …} newest first}. A post without state has
--                   the floor of its partition as its revision and no reactions.

local function summary(post, viewer, recent)
  local fields = try('HGETALL', post)
  if fields.err then return failure(fields) end
  worked(#fields)
  local answer, at = { false }, 1
  for i = 1, #fields, 2 do
    local name = fields[i]
    if name == '_rev' then
      answer[1] = fields[i + 1]
    else
      local members = post .. ':' .. name
      local mine, newest = false, {}
      if viewer ~= '' then
        mine = try('ZSCORE', members, viewer)
        if type(mine) == 'table' then return failure(mine) end
        worked(1)
      end
      if recent > 0 then
        newest = try('ZRANGE', members, 0, recent - 1, 'REV', 'WITHSCORES')
        if newest.err then return failure(newest) end
        worked(#newest)
      end
      answer[at + 1], answer[at + 2] = name, fields[i + 1]
      answer[at + 3], answer[at + 4] = mine and 1 or 0, newest
      at = at + 4
    end
  end
  if not answer[1] then
    local floor, problem = floor_of(post)
    if problem then return problem end
    answer[1] = string.format('%.0f', floor)
  end
  return answer
end

return read_each(2, function(post, arg)
  return summary(post, ARGV[arg + 1], tonumber(ARGV[arg + 2]))
end)
