-- Stores members, counts, revision and rules of a post. With lists.lua, scores.lua and hints.lua it
-- is the only place that knows how.
--
-- Keys      post     hash: a field per reaction with its count; _rev, the revision; the rules that
--                    are not the default ones: _palette, _add and _locked
--           members  sorted set, one per reaction: the users; score: µs of reacting
-- Derived   post .. ':' .. reaction is the members key; what takes a reaction derives it
-- Commands of taps   DEL HDEL HEXISTS HGET HKEYS HLEN HMGET HSET UNLINK ZADD ZCARD ZREM ZSCORE

--- @include "clock"

-- A function that may fail returns the failure as its second value.
local function checked(reply, value)
  if type(reply) == 'table' and reply.err then return false, failure(reply) end
  return value
end

local function members_of(post, reaction) return post .. ':' .. reaction end

-- {revision, palette, add, locked}; false for what is missing.
local function stored_state(post)
  local state = try('HMGET', post, '_rev', '_palette', '_add', '_locked')
  return checked(state, state)
end

-- Whether the post has rules. A post with rules is kept when it has no reaction.
local function has_rules(state) return state[2] or state[3] or state[4] end

-- Adds the user; returns whether the user was a member before.
local function add_member(members, user)
  local added = try('ZADD', members, 'NX', now_text, user)
  return checked(added, added == 0)
end
local function has_member(members, user)
  local score = try('ZSCORE', members, user)
  return checked(score, score ~= false)
end
local function count_members(members)
  local count = try('ZCARD', members)
  return checked(count, count)
end
local function remove_member(members, user) call('ZREM', members, user) end
local function delete_members(members) call('UNLINK', members) end
local function delete_post(post, members) call('DEL', post, members) end

-- -1 if it is not a number.
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
-- A rule that is false is the default one.
local function write_rules(post, revision, palette, add, locked)
  call('HSET', post, '_rev', revision)
  for name, value in pairs({ _palette = palette, _add = add, _locked = locked }) do
    if value then call('HSET', post, name, value) else call('HDEL', post, name) end
  end
end

local function count_kinds(post, state)
  local kinds = call('HLEN', post)
  for i = 1, 4 do if state[i] then kinds = kinds - 1 end end
  return kinds
end

-- Whether a post has no other reaction.
local function is_last_reaction(post, reaction, state)
  local kinds = count_kinds(post, state)
  -- Someone else may have written the one field.
  return kinds < 1 or kinds == 1 and call('HEXISTS', post, reaction) == 1
end
-- The reactions of a post.
local function kinds_of(post)
  local kinds = {}
  for _, name in ipairs(call('HKEYS', post)) do
    if string.sub(name, 1, 1) ~= '_' then kinds[#kinds + 1] = name end
  end
  return kinds
end

-- Whether the post has no other reactions than those whose counts become zero.
local function is_emptied(post, state, counts)
  if has_rules(state) then return false end
  for _, count in pairs(counts) do if count > 0 then return false end end
  for _, kind in ipairs(kinds_of(post)) do if not counts[kind] then return false end end
  return true
end
