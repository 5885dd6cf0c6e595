-- The index of what users gave, as hints: each reaction that a user gets has one, in the same slot and
-- the same step. A hint may outlive its reaction: forgetting a post leaves its hints, and a removal
-- goes on if it cannot drop one. So a reader checks each hint against the members.
--
-- Keys      hints  sorted set, one per bucket of users; all scores are 0, and a member is
--                  "USER POST REACTION" without the second space; POST is the id as 16 bytes
-- Commands of taps   ZADD ZREM
-- Commands of reads  ZRANGE ZSCORE

--- @include "status"

-- Returns a failure; nil if it went well.
local function add_hint(hints, user, raw, reaction)
  local added = try('ZADD', hints, '0', user .. ' ' .. raw .. reaction)
  return type(added) == 'table' and failure(added) or nil
end

local function drop_hint(hints, user, raw, reaction)
  try('ZREM', hints, user .. ' ' .. raw .. reaction)
end

local function drop_hints(hints, list)
  if #list > 0 then try('ZREM', hints, unpack(list)) end
end

-- Returns false if there is no such hint; and a failure.
local function has_hint(hints, user, raw, reaction)
  local score = try('ZSCORE', hints, user .. ' ' .. raw .. reaction)
  if type(score) == 'table' then return false, failure(score) end
  return score ~= false
end

-- The hints of a user, from the one after `from` on, or from the first if it is ''. No user contains
-- white space, and '!' follows the space. Returns a failure as its second value.
local function hints_of(hints, user, from, most)
  local first = from == '' and '[' .. user .. ' ' or '(' .. from
  local found = try('ZRANGE', hints, first, '(' .. user .. '!', 'BYLEX', 'LIMIT', '0', most)
  if found.err then return nil, failure(found) end
  return found
end

-- The text of a post id, and the reaction, that a hint of this user names.
local function hinted(hint, user)
  local at = #user + 2
  local id = string.format('%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x',
    string.byte(hint, at, at + 15))
  return id, string.sub(hint, at + 16)
end
