-- Writes documents of jobs, each if it has the version that the caller expects. Redis runs it when
-- memory is full, too: a job that only removes must get on. Documents are few and of bounded size.
--
-- KEYS, per document  1 document  string: see document.lua
-- Derived keys: none.
-- ARGV, once          see deadline.lua
-- ARGV, per document  1 not_after, in µs of this server's clock  2 the expected version, 0 for none
--                     3 w to write, d to delete  4 the content  5 how long to keep it, in
--                     milliseconds; '' for ever
-- Returns, per document  1 status: CHANGED if it had the version, else 0; or a failure
-- Flags: allow-oom.
-- Commands  DEL GET SET

--- @include "deadline"

local function write(document, not_after, expected, act, content, keep)
  local problem = overdue(not_after)
  if problem then return problem end
  local text = try('GET', document)
  if type(text) == 'table' then return failure(text) end
  local version = text and string.match(text, '^(%d+) ') or not text and '0'
  if not version then return DAMAGED end
  if version ~= expected then return 0 end
  if act == 'd' then
    if text then call('DEL', document) end
    return CHANGED
  end
  text = string.format('%.0f ', version + 1) .. content
  if keep == '' then call('SET', document, text) else call('SET', document, text, 'PX', keep) end
  return CHANGED
end

local answer = { now }
for i = 1, #KEYS do
  answer[i + 1] = write(KEYS[i], unpack(ARGV, 5 * i + 1, 5 * i + 5))
end
return answer
