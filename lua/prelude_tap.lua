-- Prelude of the tap scripts: toggle, set, unset.
--
-- KEYS, per tap   1 post     hash: a field per reaction with its count, and _rev, the revision
--                 2 members  sorted set: the users that have the reaction; score: µs of the
--                 reaction 3 log      stream: the change log of the partition
-- ARGV, once      1 how long the log keeps an entry, in milliseconds
-- ARGV, per tap   1 post id  2 user id  3 reaction  4 not_after, in µs of this server's clock
-- Returns, per tap   status (1 active + 2 changed, or a failure), count, revision
--
-- A script is atomic but does not roll back: all that can refuse comes before the first write has
-- taken hold. ZSCORE looks at the members, HGET at the post, and XADD is the first write because
-- it fails whole if the log is not a stream. After it nothing can fail.

local REVISION_LIMIT = 9007199254740992 -- 2^53: above it a double skips integers
local retention = tonumber(ARGV[1])
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
    call('HSET', post, '_rev', revision_text, reaction, count)
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
  local revision = previous or now
  if (tonumber(stored or 0) or -1) ~= count then
    local text
    revision, text = next_revision(previous)
    write_count(post, reaction, count, text)
  end
  return active and 1 or 0, count, revision
end

local function tap(wanted, post, members, log, id, user, reaction, not_after)
  if now > tonumber(not_after) then return TOO_LATE, 0, 0 end
  local score = try('ZSCORE', members, user)
  if type(score) == 'table' then return failure(score), 0, 0 end
  local stored = try('HGET', post, '_rev')
  if type(stored) == 'table' then return failure(stored), 0, 0 end
  local previous = stored and tonumber(stored)
  if stored and not (previous and previous < REVISION_LIMIT) then return DAMAGED, 0, 0 end

  local was = score and true or false
  local active = wanted(was)
  if active == was then return unchanged(post, members, reaction, active, previous) end

  local revision, revision_text = next_revision(previous)
  local entry = id .. ' ' .. user .. ' ' .. reaction .. (active and ' 1 ' or ' 0 ') .. revision_text
  if revision > now then entry = entry .. ' ' .. now_text end
  local logged
  if oldest then
    logged = try('XADD', log, 'MINID', '~', oldest, '*', 'tap', entry)
  else
    logged = try('XADD', log, '*', 'tap', entry)
  end
  if type(logged) == 'table' then return failure(logged), 0, 0 end

  if active then
    call('ZADD', members, now_text, user)
  else
    call('ZREM', members, user)
  end
  local count = call('ZCARD', members)
  write_count(post, reaction, count, revision_text)
  return active and 3 or 2, count, revision
end

-- `wanted` says what the flag is to become, given what it is.
local function taps(wanted)
  local answer, at = { now }, 1
  local key, arg = 0, 1
  for _ = 1, #KEYS / 3 do
    answer[at + 1], answer[at + 2], answer[at + 3] = tap(wanted,
      KEYS[key + 1], KEYS[key + 2], KEYS[key + 3],
      ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4])
    at, key, arg = at + 3, key + 3, arg + 4
  end
  return answer
end
