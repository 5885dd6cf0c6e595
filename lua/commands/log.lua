-- Reads a page of a partition's change log, and how many of its entries are gone.
--
-- KEYS     1 log  see log.lua in lib
-- Derived keys: none.
-- ARGV     1 the id to begin with, '-' for the oldest entry, or '+' for the newest  2 how many entries
-- Returns  {how many entries are gone, {id, {field, text}}, …}, or a failure; with '+' {how many
--          entries there were before the newest, the newest}
-- Flags: no-writes.
-- Commands  XINFO XRANGE

--- @include "status"

local log = KEYS[1]
local info, from = try('XINFO', 'STREAM', log), ARGV[1]
local added, length = 0, 0
if info.err then
  -- A partition without changes has no log.
  if not string.find(info.err, 'no such key', 1, true) then return info end
else
  for i = 1, #info, 2 do
    if info[i] == 'entries-added' then added = info[i + 1] end
    if info[i] == 'length' then length = info[i + 1] end
    if from == '+' and info[i] == 'last-generated-id' then from = info[i + 1] end
  end
end
local entries = call('XRANGE', log, from, '+', 'COUNT', ARGV[2])
table.insert(entries, 1, added - (ARGV[1] == '+' and #entries or length))
return entries
