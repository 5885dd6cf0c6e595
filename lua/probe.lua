-- Shows that taps can be counted: turns a flag on and off again with the very code of the taps and
-- an idempotency key, on keys that no post has, and deletes these. Refused when memory is full, as
-- a tap is.
--
-- KEYS, ARGV, returns: see prelude_tap.lua; the answer is that of the second tap. Derived keys:
-- none.

local answer = taps(true, true)
for i = 1, #KEYS / 4 do
  -- Else the second tap would be a replay of the first.
  call('DEL', KEYS[4 * i])
  local off = taps(true, true)
  local at = 3 * i - 1
  if answer[at] >= 0 then answer[at], answer[at + 1] = off[at], off[at + 1] end
end
call('DEL', unpack(KEYS))
return answer
