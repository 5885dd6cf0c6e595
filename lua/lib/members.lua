-- Stores members and counts. No other file knows how.
--
-- Keys      post     hash: a field per reaction with its count, and _rev, the revision
--           members  sorted set, one per reaction: the users; score: µs of reacting
-- Derived   post .. ':' .. reaction is the members key; the functions that read derive it
-- Commands of taps   DEL HDEL HEXISTS HGET HLEN HSET ZADD ZCARD ZREM ZSCORE
-- Commands of reads  HGETALL ZCOUNT ZRANGE ZSCORE

--- @include "clock"

-- A function that may fail returns the failure as its second value.
local function checked(reply, value)
  if type(reply) == 'table' and reply.err then return false, failure(reply) end
  return value
end

-- The post's revision; false if it has no state.
local function stored_revision(post)
  local stored = try('HGET', post, '_rev')
  return checked(stored, stored)
end

-- Adds the user; returns whether the user was a member before.
local function add_member(members, user)
  local added = try('ZADD', members, 'NX', now_text, user)
  return checked(added, added == 0)
end

local function has_member(members, user)
  local score = try('ZSCORE', members, user)
  return checked(score, score ~= false)
end

local function remove_member(members, user) call('ZREM', members, user) end
local function count_members(members) return call('ZCARD', members) end
local function delete_post(post, members) call('DEL', post, members) end

-- The stored count of a reaction; -1 if it is not a number.
local function stored_count(post, reaction)
  return tonumber(call('HGET', post, reaction) or 0) or -1
end

local function write_count(post, reaction, count, revision)
  if count > 0 then
    call('HSET', post, '_rev', revision, reaction, string.format('%d', count))
  else
    call('HSET', post, '_rev', revision)
    call('HDEL', post, reaction)
  end
end

-- Whether a post has no other reaction. `stored`: its revision, if it has one.
local function is_last_reaction(post, reaction, stored)
  local others = call('HLEN', post) - (stored and 1 or 0)
  -- Someone else may have written the one field.
  return others < 1 or others == 1 and call('HEXISTS', post, reaction) == 1
end

-- Calls `each(reaction, count)`. Returns the revision; false if the post has no state.
local function read_counts(post, each)
  local fields, revision = try('HGETALL', post), false
  for i = 1, #fields, 2 do
    if fields[i] == '_rev' then revision = fields[i + 1] else each(fields[i], fields[i + 1]) end
  end
  return checked(fields, revision)
end

local function read_mine(post, reaction, user) return has_member(post .. ':' .. reaction, user) end

-- {user, score, …} of `count` members, newest first, from a rank on.
local function read_newest(post, reaction, rank, count)
  local found = try('ZRANGE', post .. ':' .. reaction, rank, rank + count - 1, 'REV', 'WITHSCORES')
  return checked(found, found)
end

-- The rank, newest first, of the first member at or below (score, user). Members of one score are
-- in byte order; strings of digits compare alike in every locale.
local function rank_of(post, reaction, score, user)
  local members = post .. ':' .. reaction
  local low = try('ZCOUNT', members, '(' .. score, '+inf')
  if type(low) == 'table' then return checked(low) end
  local high = low + call('ZCOUNT', members, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = call('ZRANGE', members, middle, middle, 'REV')[1]
    if found > user then low = middle + 1 else high = middle end
  end
  return low
end
