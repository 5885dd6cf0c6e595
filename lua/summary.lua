-- Reads the summaries of posts: revision, counts, the viewer's own flags, the newest users.
--
-- KEYS, per post  1 post     hash, as in prelude_tap.lua
-- Derived keys    post .. ':' .. reaction for each reaction of the post: its members, of the same
--                 slot
-- ARGV, per post  1 viewer's user id, or '' for none  2 how many of the newest users to add
-- Returns, per post  1 a failure, or {revision, then per reaction: name, count, 1 if the viewer
--                   has it, {user, score, user, score, …} newest first}. A post without state has
--                   the clock (less 1) as its revision and no reactions.

local function summary(post, viewer, recent)
  local fields = try('HGETALL', post)
  if fields.err then return failure(fields) end
  local answer, at = { string.format('%.0f', stateless) }, 1
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
      end
      if recent > 0 then
        newest = try('ZRANGE', members, 0, recent - 1, 'REV', 'WITHSCORES')
        if newest.err then return failure(newest) end
      end
      answer[at + 1], answer[at + 2] = name, fields[i + 1]
      answer[at + 3], answer[at + 4] = mine and 1 or 0, newest
      at = at + 4
    end
  end
  return answer
end

local answer = { now }
for i = 1, #KEYS do
  answer[i + 1] = summary(KEYS[i], ARGV[2 * i - 1], tonumber(ARGV[2 * i]))
end
return answer
