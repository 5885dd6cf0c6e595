-- Says whether this user may run all that the tap scripts run: a tap that is refused half way is
-- left half written. It asks the server's access lists and touches nothing, so that no right of its
-- own is needed but that to run scripts, and it also runs when memory is full.
--
-- KEYS     none. Derived keys: none.
-- ARGV     1 post  2 members  3 log  4 record: names such as those of prelude_tap.lua
-- Returns  the first command that is refused, or false

local post, members, log, record = unpack(ARGV)
local floor, full = string.sub(post, 1, -39) .. 'floor', string.sub(post, 1, -39) .. 'full'

local commands = {
  { 'TIME' },
  { 'EVALSHA', '', '0' },
  { 'GET', record },
  { 'GET', floor },
  { 'HGET', post, '_rev' },
  { 'HEXISTS', post, 'like' },
  { 'ZADD', members, 'NX', '1', '1' },
  { 'ZSCORE', members, '1' },
  { 'XADD', log, 'MINID', '~', '1', '*', 'tap', '' },
  { 'XTRIM', log, 'MAXLEN', '~', '1' },
  { 'XLEN', log },
  { 'ZCARD', members },
  { 'ZREM', members, '1' },
  { 'HSET', post, '_rev', '1' },
  { 'HDEL', post, 'like' },
  { 'HLEN', post },
  { 'SET', floor, '1', 'GET' },
  { 'SET', full, '1', 'KEEPTTL' },
  { 'SET', record, '', 'PX', '1' },
  { 'DEL', post, members, log, record, floor },
}

-- Some that only speak the protocol have no access lists.
if not redis.acl_check_cmd then return false end
for _, command in ipairs(commands) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if not (known and allowed) then return command[1] end
end
return false
