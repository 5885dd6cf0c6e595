-- Prelude of the scripts that read: a call stops when it has done enough, so that nobody waits for
-- long behind somebody who asks for much. What an item costs is known only when it is read; so the
-- first is always read, and what comes after the work is used up is answered NOT_READ.
-- KEYS, returns: see the script. ARGV, once: 1 how much work to do: a command counts 1, and so does
-- each element of its answer. That is a bit less than a microsecond each.

local work = tonumber(ARGV[1])

local function worked(elements)
  work = work - 1 - elements
end

-- Answers for each key what `read` makes of it and of the place before its `args` arguments.
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
