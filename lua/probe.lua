-- Shows that taps can be counted: turns a flag on and off again with the very code of the taps and
-- an idempotency key, on keys that no post has, and deletes these. Refused when memory is full, as
-- a tap is.
--
-- KEYS, ARGV, returns: see prelude_tap.lua; the answer is that of the second tap. Derived keys:
-- floor, of the probe's own and not of the partition.

local answer = { now }
for i = 1, #KEYS / 4 do
  local key, arg = 4 * i - 3, 5 * i
  local post, members, log, record = unpack(KEYS, key, key + 3)
  local id, user, reaction, not_after, form = unpack(ARGV, arg + 1, arg + 5)
  local function tapped()
    return tap_once(record, form, true, true, post, members, log, id, user, reaction, not_after)
  end
  local status, count, revision = tapped()
  if status >= 0 then
    -- Else the second tap would be a replay of the first.
    call('DEL', record)
    status, count, revision = tapped()
  end
  answer[3 * i - 1], answer[3 * i], answer[3 * i + 1] = status, count, revision
  call('DEL', post, members, log, record, of_partition(post, 'floor'))
end
return answer
