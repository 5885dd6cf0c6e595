-- Reads documents of jobs.
--
-- KEYS, per document  1 document  string: the version, a space, and the content; may expire
-- Derived keys: none.
-- ARGV, once          1 how much work to do: see read.lua
-- Returns, per document  1 the text, false if there is none, or a failure
-- Flags: no-writes.
-- Commands  GET

--- @include "read"

return read_each(0, function(document)
  local text = try('GET', document)
  worked(1)
  return type(text) == 'table' and failure(text) or text
end)
