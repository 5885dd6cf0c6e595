-- Idempotency records: a retried tap with the same key gets the answer of the first one.
--
-- A record holds the request's form and the answer. The script writes it last, when nothing can
-- fail any more, and only for a success. A replay writes nothing, so it needs no not_after.
--
-- Keys      record  string: "FORM NAME STATUS COUNT REVISION"; expires. NAME is what the caller
--                   named, COUNT may be details: see wide.lua
--           full    string: how many records were written while memory was full; expires
-- Commands  GET SET

--- @include "partition"
--- @include "log"

local record_retention = ARGV[4]

-- While memory is full, a partition takes this many records until they have expired.
local RECORDS_WHEN_FULL = 64

-- The answer in the key's record; nil if there is no record.
local function replay(record, form, named)
  local kept = try('GET', record)
  if not kept then return end
  if type(kept) == 'table' then return failure(kept), 0, 0 end
  local made, name, status, count, details, revision =
    string.match(kept, '^(%l) ([^ ]+) ([0-3]) (%d+)(.*) (%d+)$')
  if not made then return DAMAGED, 0, 0 end
  if made ~= form or name ~= named then return KEY_REUSED, 0, 0 end
  return status + REPLAYED, details == '' and tonumber(count) or count .. details, tonumber(revision)
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

-- Runs `act(...)` unless its key has a record.
local function once(record, form, named, post, act, ...)
  local status, count, revision = replay(record, form, named)
  if status then return status, count, revision end
  local written = full and written_when_full(post)
  if full and written >= RECORDS_WHEN_FULL then return FULL, 0, 0 end
  status, count, revision = act(...)
  -- A removal that removed nothing would leave a record and free no room for it.
  if full and status == 0 then return FULL, 0, 0 end
  if status >= 0 then
    if full then count_when_full(post, written) end
    local kept = string.format('%s %s %d %s %.0f', form, named, status, count, revision)
    call('SET', record, kept, 'PX', record_retention)
  end
  return status, count, revision
end
