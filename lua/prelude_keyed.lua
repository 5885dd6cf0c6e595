-- Prelude of the tap scripts, second part: idempotency records, and the loop over the batch.
-- KEYS, ARGV, returns: see prelude_tap.lua.
--
-- A record is "FORM REACTION STATUS COUNT REVISION": how the request was made, and what it was
-- answered. It is written last, when nothing can refuse any more, and only for a success. A replay
-- writes nothing, so that it needs no not_after.

local record_retention = ARGV[4]

-- So many records may be written in a partition while memory is full, until they have expired.
local RECORDS_WHEN_FULL = 64

-- What was answered to the key before, or nothing.
local function replay(record, form, reaction)
  local kept = try('GET', record)
  if not kept then return end
  if type(kept) == 'table' then return failure(kept), 0, 0 end
  local made, name, status, count, revision =
    string.match(kept, '^(%l) ([^ ]+) ([0-3]) (%d+) (%d+)$')
  if not made then return DAMAGED, 0, 0 end
  if made ~= form or name ~= reaction then return KEY_REUSED, 0, 0 end
  return status + 4, tonumber(count), tonumber(revision)
end

-- How many were written in the partition since the first that may not have expired.
local function written_when_full(post)
  local written = try('GET', of_partition(post, 'full'))
  return type(written) ~= 'table' and tonumber(written or 0) or RECORDS_WHEN_FULL
end

local function count_when_full(post, written)
  local key = of_partition(post, 'full')
  if written == 0 then
    call('SET', key, 1, 'PX', record_retention)
  else
    call('SET', key, written + 1, 'KEEPTTL')
  end
end

local function tap_once(record, form, turns_on, turns_off, post, members, log, id, user, reaction,
                        not_after)
  local status, count, revision = replay(record, form, reaction)
  if status then return status, count, revision end
  local written = full and written_when_full(post)
  if full and written >= RECORDS_WHEN_FULL then return FULL, 0, 0 end
  status, count, revision =
    tap(turns_on, turns_off, post, members, log, id, user, reaction, not_after)
  -- What removed nothing would leave a record and make no room for it.
  if full and status == 0 then return FULL, 0, 0 end
  if status >= 0 then
    if full then count_when_full(post, written) end
    local kept = string.format('%s %s %d %d %.0f', form, reaction, status, count, revision)
    call('SET', record, kept, 'PX', record_retention)
  end
  return status, count, revision
end

-- Runs the batch. `turns_on`: a flag that is off goes on. `turns_off`: one that is on goes off.
local function taps(turns_on, turns_off)
  local answer, at, key = { now }, 1, 0
  for arg = 5, #ARGV - 5, 5 do
    local post, members, log = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
    local id, user, reaction = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
    local not_after, form = ARGV[arg + 4], ARGV[arg + 5]
    if form == '' then
      answer[at + 1], answer[at + 2], answer[at + 3] =
        tap(turns_on, turns_off, post, members, log, id, user, reaction, not_after)
      key = key + 3
    else
      answer[at + 1], answer[at + 2], answer[at + 3] = tap_once(KEYS[key + 4], form,
        turns_on, turns_off, post, members, log, id, user, reaction, not_after)
      key = key + 4
    end
    at = at + 3
  end
  return answer
end
