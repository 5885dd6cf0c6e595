-- Runs a batch of taps: the keys and arguments of the first tap, then those of the second, and so
-- on. The reply is one flat list: the server's clock in µs, then the elements of each tap.
-- Commands  none

--- @include "tap"
--- @include "record"

-- `turns_on`: a flag that is off goes on. `turns_off`: a flag that is on goes off.
local function taps(turns_on, turns_off)
  local answer, at, key = { now }, 1, 0
  for arg = 5, #ARGV - 6, 6 do
    local post, members, log, hints = KEYS[key + 1], KEYS[key + 2], KEYS[key + 3], KEYS[key + 4]
    local raw, user, reaction = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
    local not_after, form, verdict = ARGV[arg + 4], ARGV[arg + 5], verdict_of(ARGV[arg + 6])
    if form == '' then
      answer[at + 1], answer[at + 2], answer[at + 3] =
        tap(turns_on, turns_off, post, members, log, hints, raw, user, reaction, not_after, verdict)
      key = key + 4
    else
      answer[at + 1], answer[at + 2], answer[at + 3] =
        once(KEYS[key + 5], form, verdict.sent or reaction, post, tap,
          turns_on, turns_off, post, members, log, hints, raw, user, reaction, not_after, verdict)
      key = key + 5
    end
    at = at + 3
  end
  return answer
end
