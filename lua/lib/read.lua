-- Bounds the work of a reading call, so that no caller waits long for another's large read. Only
-- reading shows the cost of an item. So a call always reads its first item. It answers NOT_READ for
-- the items after its work is used up.
--
-- ARGV, once      1 how much work a call may do: a command counts 1, and so does each element of its
--                   reply. One unit takes a bit less than a microsecond.
-- Commands  none

--- @include "clock"

local work = tonumber(ARGV[1])

local function worked(elements)
  work = work - 1 - elements
end

-- Answers for each key the result of `read`, which gets the key and the index before its `args`
-- arguments.
local function read_each(args, read)
  local answer = { now }
  for i = 1, #KEYS do
    if i == 1 or work > 0 then
      answer[i + 1] = read(KEYS[i], 1 + args * (i - 1))
    else
      answer[i + 1] = NOT_READ
    end
  end
  return answer
end
