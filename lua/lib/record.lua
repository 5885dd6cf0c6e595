-- Idempotency records: a retried tap with the same key gets the answer of the first one.
--
-- A record holds the request's form and the answer. The script writes it last, when nothing can
-- fail any more, and only for a success. A replay writes nothing, so it needs no not_after.
--
-- Keys      record  string: "FORM REACTION STATUS COUNT REVISION"; expires
--           full    string: how many records were written while memory was full; expires
-- Commands  GET SET

--- @include "tap"

local record_retention = ARGV[4]

-- While memory is full, a partition takes this many records until they have expired.
local RECORDS_WHEN_FULL = 64

-- The answer in the key's record; nil if there is no record.
local function replay(record, form, reaction)
  local kept = try('GET', record)
  if not kept then return end
  if type(kept) == 'table' then return failure(kept), 0, 0 end
  local made, name, status, count, revision =
    string.match(kept, '^(%l) ([^ ]+) ([0-3]) (%d+) (%d+)$')
  if not made then return DAMAGED, 0, 0 end
  if made ~= form or name ~= reaction then return KEY_REUSED, 0, 0 end
  return status + REPLAYED, tonumber(count), tonumber(revision)
end

-- How many records the partition took while memory was full, since the first that may not have
-- expired.
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
  -- A removal that removed nothing would leave a record and free no room for it.
  if full and status == 0 then return FULL, 0, 0 end
  if status >= 0 then
    if full then count_when_full(post, written) end
    local kept = string.format('%s %s %d %d %.0f', form, reaction, status, count, revision)
    call('SET', record, kept, 'PX', record_retention)
  end
  return status, count, revision
end
