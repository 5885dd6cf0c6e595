-- Reads a page of a partition's change log, and how many of its entries are gone.
--
-- KEYS     1 log  see log.lua in lib
-- Derived keys: none.
-- ARGV     1 the id to begin with, or '-' for the oldest  2 how many entries
-- Returns  {how many entries are gone, {id, {field, text}}, …}, or a failure
-- Flags: no-writes.
-- Commands  XINFO XRANGE

--- @include "status"

local log = KEYS[1]
local info, gone = try('XINFO', 'STREAM', log), 0
if info.err then
  -- A partition without changes has no log.
  if not string.find(info.err, 'no such key', 1, true) then return info end
else
  for i = 1, #info, 2 do
    if info[i] == 'entries-added' then gone = gone + info[i + 1] end
    if info[i] == 'length' then gone = gone - info[i + 1] end
  end
end
local entries = call('XRANGE', log, ARGV[1], '+', 'COUNT', ARGV[2])
table.insert(entries, 1, gone)
return entries
