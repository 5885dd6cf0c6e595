-- Looks at members with their times, and changes many of them at once, as amendments do.
--
-- Keys      see members.lua
-- Commands of taps  HDEL HSET ZADD ZREM ZSCORE

--- @include "members"

-- The µs at which the user reacted; false if the user is no member; and a failure.
local function score_of(members, user)
  local score = try('ZSCORE', members, user)
  if type(score) == 'table' then return false, failure(score) end
  return score and tonumber(score)
end

-- `pairs_of`: {score, user, …}.
local function put_members(members, pairs_of)
  if #pairs_of > 0 then call('ZADD', members, unpack(pairs_of)) end
end
local function remove_members(members, users)
  if #users > 0 then call('ZREM', members, unpack(users)) end
end

-- Writes counts and revision. A count of zero goes.
local function write_counts(post, counts, revision)
  local fields, gone = { '_rev', revision }, {}
  for reaction, count in pairs(counts) do
    if count > 0 then
      fields[#fields + 1], fields[#fields + 2] = reaction, string.format('%d', count)
    else
      gone[#gone + 1] = reaction
    end
  end
  call('HSET', post, unpack(fields))
  if #gone > 0 then call('HDEL', post, unpack(gone)) end
end
