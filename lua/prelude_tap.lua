-- Prelude of the tap scripts: toggle, set, unset.
--
-- KEYS, per tap   1 post     hash: a field per reaction with its count, and _rev, the revision
--                 2 members  sorted set: the users that have the reaction; score: µs of reacting
--                 3 log      stream: the change log of the partition
--                 4 record   string: the idempotency record; only for a tap that has a form
-- Derived keys    floor      string: see prelude.lua; read if the post has no state, written when
--                            it becomes empty
--                 full       string: how many records were written while memory was full; only by
--                            unset_full
-- ARGV, once      1 how long the log keeps an entry, in milliseconds
--                 2 the earliest not_after of the batch
--                 3 not_before: what this server's clock showed when the batch was sent, in µs
--                 4 how long a record is kept, in milliseconds
--                 5 how many entries the log keeps
-- ARGV, per tap   1 post id  2 user id  3 reaction  4 not_after, in µs of this server's clock
--                 5 form of the request, a letter; '' for a tap without idempotency key
-- Returns, per tap   1 status: a failure, or the sum of active (1), changed (2), replayed (4)
--                    2 count  3 revision
--
-- A script is atomic but does not roll back, so all that can refuse comes before the first write
-- has taken hold: HGET looks at the post, ZADD NX or ZSCORE at the members, SET GET at the floor,
-- and XADD, which fails whole if the log is not a stream, comes next. If it does, what was written
-- before it is taken back exactly. After XADD nothing can fail.

local hurried = now > tonumber(ARGV[2])
-- The clock has been put back since the batch was sent, so that not_after proves nothing.
local put_back = now < tonumber(ARGV[3])

local function write_count(post, reaction, count, text)
  if count > 0 then
    call('HSET', post, '_rev', text, reaction, string.format('%d', count))
  else
    call('HSET', post, '_rev', text)
    call('HDEL', post, reaction)
  end
end

-- A tap without effect writes nothing, unless the count was falsified from outside: then it heals
-- it, and the revision rises because what readers see has changed.
local function unchanged(post, members, reaction, active, stored, previous)
  local count, kept = call('ZCARD', members), call('HGET', post, reaction)
  if (tonumber(kept or 0) or -1) == count then return active and 1 or 0, count, previous end
  local revision, text = next_revision(previous)
  if count == 0 and is_last(post, reaction, stored) then
    local _, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
    call('DEL', post)
  else
    write_count(post, reaction, count, text)
  end
  return active and 1 or 0, count, revision
end

local function tap(turns_on, turns_off, post, members, log, id, user, reaction, not_after)
  if hurried and now > tonumber(not_after) then return TOO_LATE, 0, 0 end
  if put_back then return PUT_BACK, 0, 0 end
  local stored = try('HGET', post, '_rev')
  if type(stored) == 'table' then return failure(stored), 0, 0 end
  local previous, problem, no_floor
  if stored then
    previous = revision_of(stored)
  else
    previous, problem, no_floor = floor_of(post)
  end
  if not previous then return problem or DAMAGED, 0, 0 end

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
    return unchanged(post, members, reaction, was, stored, previous)
  end

  local revision, text = next_revision(previous)
  -- Counted first: the set goes with its last member, and in a slot that is on its way to another
  -- node of a cluster a script must not look at a key that is not there.
  local count = call('ZCARD', members) - (was and 1 or 0)
  local emptied, floor = count == 0 and is_last(post, reaction, stored)
  if emptied then
    floor, problem = raise_floor(post, revision, text)
    if problem then return problem, 0, 0 end
  end
  local entry = id .. ' ' .. user .. ' ' .. reaction .. (was and ' 0 ' or ' 1 ') .. text
  if revision > now then entry = entry .. ' ' .. now_text end
  local logged = append(log, entry)
  if type(logged) == 'table' then
    if not was then call('ZREM', members, user) end
    if emptied then put_floor_back(post, floor) end
    return failure(logged), 0, 0
  end

  if emptied then
    call('DEL', post, members)
    return 2, 0, revision
  end
  -- It has to be there before the post is emptied: see above.
  if no_floor then call('SET', of_partition(post, 'floor'), '0') end
  if was then call('ZREM', members, user) end
  write_count(post, reaction, count, text)
  return was and 2 or 3, count, revision
end
