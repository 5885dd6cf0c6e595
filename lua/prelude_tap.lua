-- Prelude of the tap scripts: toggle, set, unset.
--
-- KEYS, per tap   1 post     hash: a field per reaction with its count, and _rev, the revision
--                 2 members  sorted set: the users that have the reaction; score: µs of reacting
--                 3 log      stream: the change log of the partition
--                 4 record   string: the idempotency record; only for a tap that has a form
-- ARGV, once      1 how long the log keeps an entry, in milliseconds
--                 2 the earliest not_after of the batch
--                 3 not_before: what this server's clock showed when the batch was sent, in µs
--                 4 how long a record is kept, in milliseconds
-- ARGV, per tap   1 post id  2 user id  3 reaction  4 not_after, in µs of this server's clock
--                 5 form of the request, a letter; '' for a tap without idempotency key
-- Returns, per tap   1 status: a failure, or the sum of active (1), changed (2), replayed (4)
--                    2 count  3 revision
--
-- A script is atomic but does not roll back, so all that can refuse comes before the first write
-- has taken hold: HGET looks at the post, ZADD NX or ZSCORE at the members, and XADD, which fails
-- whole if the log is not a stream, comes next. If it does, the one write before it is taken back
-- exactly: ZADD NX answered that the member was not there. After XADD nothing can fail.

local REVISION_LIMIT = 9007199254740992 -- 2^53: above it a double skips integers
local retention, hurried = tonumber(ARGV[1]), now > tonumber(ARGV[2])
-- The clock has been put back since the batch was sent, so that not_after proves nothing.
local put_back = now < tonumber(ARGV[3])
-- Trimming is cheap but not free; a batch in sixteen does it for the partitions it touches.
local oldest = now % 16 == 0 and string.format('%.0f', now / 1000 - retention) or false

local function next_revision(previous)
  if previous and previous >= now then
    return previous + 1, string.format('%.0f', previous + 1)
  end
  return now, now_text
end

local function write_count(post, reaction, count, revision_text)
  if count > 0 then
    call('HSET', post, '_rev', revision_text, reaction, string.format('%d', count))
  else
    call('HSET', post, '_rev', revision_text)
    call('HDEL', post, reaction)
  end
end

-- A tap without effect writes nothing, unless the count was falsified from outside: then it heals
-- it, and the revision rises because what readers see has changed.
local function unchanged(post, members, reaction, active, previous)
  local count = call('ZCARD', members)
  local stored = call('HGET', post, reaction)
  local revision = previous or stateless
  if (tonumber(stored or 0) or -1) ~= count then
    local text
    revision, text = next_revision(previous)
    write_count(post, reaction, count, text)
  end
  return active and 1 or 0, count, revision
end

-- Places rise, so after a clock that was ahead they stay ahead, and nothing grows old. While they
-- are further ahead than `oldest` is behind, the log is cut to a length; not to so little that who
-- follows could miss entries without seeing that there are too many.
local function append(log, cause, entry)
  if not oldest then return try('XADD', log, '*', cause, entry) end
  local place = try('XADD', log, 'MINID', '~', oldest, '*', cause, entry)
  if type(place) == 'string' and string.match(place, '%d+') - now / 1000 > now / 1000 - oldest then
    try('XTRIM', log, 'MAXLEN', '~', 10000)
  end
  return place
end

local function tap(turns_on, turns_off, post, members, log, id, user, reaction, not_after)
  if hurried and now > tonumber(not_after) then return TOO_LATE, 0, 0 end
  if put_back then return PUT_BACK, 0, 0 end
  local stored = try('HGET', post, '_rev')
  if type(stored) == 'table' then return failure(stored), 0, 0 end
  local previous = stored and tonumber(stored)
  if stored and not (previous and previous < REVISION_LIMIT) then return DAMAGED, 0, 0 end

  local was
  if turns_on then
    local added = try('ZADD', members, 'NX', now_text, user)
    if type(added) == 'table' then return failure(added), 0, 0 end
    was = added == 0
  else
    local score = try('ZSCORE', members, user)
    if type(score) == 'table' then return failure(score), 0, 0 end
    was = score ~= false
  end
  if was and not turns_off or not was and not turns_on then
    return unchanged(post, members, reaction, was, previous)
  end

  local revision, revision_text = next_revision(previous)
  local entry = id .. ' ' .. user .. ' ' .. reaction .. (was and ' 0 ' or ' 1 ') .. revision_text
  if revision > now then entry = entry .. ' ' .. now_text end
  local logged = append(log, 'tap', entry)
  if type(logged) == 'table' then
    if not was then call('ZREM', members, user) end
    return failure(logged), 0, 0
  end

  -- Counted first: the set goes with its last member, and in a slot that is on its way to another
  -- node of a cluster a script must not look at a key that is not there.
  local count = call('ZCARD', members)
  if was then
    call('ZREM', members, user)
    count = count - 1
  end
  write_count(post, reaction, count, revision_text)
  return was and 2 or 3, count, revision
end
