-- Shows that the server counts taps. Turns a flag on and off again by the code of the taps, with an
-- idempotency key, on keys that no post has; then deletes these keys. Redis refuses it when memory
-- is full, as it refuses a tap.
-- KEYS, ARGV, returns: see tap.lua; the answer is that of the second tap. Derived keys: floor, of
-- the probe's own. Flags: none.
-- Commands  DEL

--- @include "batch"

local answer = { now }
for i = 1, #KEYS / 5 do
  local key, arg = 5 * i - 4, 6 * i - 1
  local post, members, log, hints, record = unpack(KEYS, key, key + 4)
  local raw, user, reaction, not_after, form, verdict = unpack(ARGV, arg + 1, arg + 6)
  local function tapped()
    return once(record, form, reaction, post, tap, true, true, post, members, log, hints, raw, user,
      reaction, not_after, verdict_of(verdict))
  end
  local status, count, revision = tapped()
  if status >= 0 then
    -- If its record stayed, the second tap would be a replay of the first.
    call('DEL', record)
    status, count, revision = tapped()
  end
  answer[3 * i - 1], answer[3 * i], answer[3 * i + 1] = status, count, revision
  delete_post(post, members)
  call('DEL', log, hints, record, of_partition(post, 'floor'))
end
return answer
