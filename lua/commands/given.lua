-- Reads what a user gave in a partition: looks at hints, and at the members that they name. It drops the
-- hints whose reaction is gone. A call looks at a bounded number of hints.
--
-- KEYS, per user  1 hints  see hints.lua: the bucket of the user
-- Derived keys    the members of each reaction that a hint names
-- ARGV, once      1 how much work to do: see read.lua
-- ARGV, per user  1 user id  2 the hint after which to begin, or '' for the first
--                 3 the most hints to look at
--                 4 the greatest score to answer, in µs  5 the most reactions to answer
-- Returns, per user  1 a failure, or {the hint to go on from or '', then for each reaction: its post,
--                   its name, its score}: the newest below the greatest score; and all that have
--                   this score, or that of the last
-- Flags: allow-oom.
-- Commands  none
-- The included files run the commands: see their headers.

--- @include "read"
--- @include "hints"
--- @include "scores"

local function is_newer(one, other) return one.at > other.at end

local function given(key, user, from, looks, newest, most)
  local hints, problem = hints_of(key, user, from, looks)
  if not hints then return problem end
  local partition, found, stale = string.match(key, '^(.*:)u:%d+$'), {}, {}
  for _, hint in ipairs(hints) do
    local id, reaction = hinted(hint, user)
    local at, failed = score_of(members_of(partition .. 'p:' .. id, reaction), user)
    if failed == REFUSED then return failed end
    if not at then
      stale[#stale + 1] = not failed and hint or nil
    elseif at <= newest then
      found[#found + 1] = { id = id, reaction = reaction, at = at }
    end
  end
  drop_hints(key, stale)
  worked(2 * #hints)
  if #found > most then table.sort(found, is_newer) end
  local answer, taken, last = { #hints == looks and hints[#hints] or '' }, 0, newest
  for _, one in ipairs(found) do
    if taken >= most and one.at < last then break end
    -- The caller may have those of the greatest score already.
    if one.at < newest then taken, last = taken + 1, one.at end
    local end_of = #answer
    answer[end_of + 1], answer[end_of + 2] = one.id, one.reaction
    answer[end_of + 3] = string.format('%.0f', one.at)
  end
  return answer
end

return read_each(5, function(key, arg)
  return given(key, ARGV[arg + 1], ARGV[arg + 2], tonumber(ARGV[arg + 3]), tonumber(ARGV[arg + 4]),
    tonumber(ARGV[arg + 5]))
end)
