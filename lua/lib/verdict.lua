-- What the palette that the service presumes says of a reaction, as one text:
-- "PALETTE KINDS EACH ALLOWED SENT ACTOR GROUP"
--
--   KINDS EACH  the most reactions of a post, and of a user on it
--   ALLOWED     1 if the reaction may be added, else 0; x if a whole set contradicts itself.
--               Before it e if this user may add only what somebody has, n if nothing
--   SENT        the name that the caller used, if it is an alias, else =
--   ACTOR       the moderator that acts, if it is not the user, else *; a user may be named =
--   GROUP       the reactions that exclude each other, between spaces; * for all, = for none
-- Commands  none

local verdicts = {}

local function verdict_of(text)
  local verdict = verdicts[text]
  if verdict then return verdict end
  local palette, kinds, each, add, allowed, sent, actor, group =
    string.match(text, '^(%S+) (%d+) (%d+) ([en]?)([01x]) (%S+) (%S+)(.*)$')
  verdict = {
    palette = palette, kinds = tonumber(kinds), each = tonumber(each), allowed = allowed == '1',
    contradicts = allowed == 'x', sent = sent ~= '=' and sent, actor = actor ~= '*' and actor,
    group = group ~= ' = ' and group, add = add ~= '' and add,
  }
  -- A tap that changes one reaction, and no other, by a user who may add what the rules allow.
  verdict.plain = not (verdict.sent or verdict.actor or verdict.group or verdict.add)
  verdicts[text] = verdict
  return verdict
end

-- Whether a reaction excludes the one of the verdict.
local function excludes(verdict, reaction)
  local group = verdict.group
  return group and (group == ' * ' or string.find(group, ' ' .. reaction .. ' ', 1, true))
end
