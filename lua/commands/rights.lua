-- Checks whether the user may run every command of the tap scripts: Redis leaves a tap half written
-- if it refuses a command in the middle. The script asks the server's access lists and touches no
-- key. So it needs only the right to run scripts, and runs when memory is full.
--
-- KEYS     none. Derived keys: none. Flags: no-writes.
-- ARGV     1 post  2 members  3 log  4 hints  5 record: names such as those of tap.lua
-- Returns  the first command that is refused, or false
-- Commands  none

local post, members, log, hints, record = unpack(ARGV)
local floor, full = string.sub(post, 1, -39) .. 'floor', string.sub(post, 1, -39) .. 'full'

local commands = {
  { 'TIME' },
  { 'EVALSHA', '', '0' },
  { 'GET', record },
  { 'GET', floor },
  { 'HGET', post, 'like' },
  { 'HMGET', post, '_rev', '_add' },
  { 'HKEYS', post },
  { 'HEXISTS', post, 'like' },
  { 'ZADD', members, 'NX', '1', '1' },
  { 'ZADD', hints, '0', '1' },
  { 'ZREM', hints, '1' },
  { 'ZSCORE', members, '1' },
  { 'XADD', log, 'MINID', '~', '1', '*', 'tap', '' },
  { 'XTRIM', log, 'MAXLEN', '~', '1' },
  { 'XLEN', log },
  { 'ZCARD', members },
  { 'ZREM', members, '1' },
  { 'HSET', post, '_rev', '1' },
  { 'HDEL', post, 'like' },
  { 'HLEN', post },
  { 'PEXPIRE', post, '1' },
  { 'SET', floor, '1', 'GET' },
  { 'SET', full, '1', 'KEEPTTL' },
  { 'SET', record, '', 'PX', '1' },
  { 'DEL', post, members, log, record, floor },
  { 'UNLINK', members },
}

-- Some servers that speak the protocol have no access lists.
if not redis.acl_check_cmd then return false end
for _, command in ipairs(commands) do
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if not (known and allowed) then return command[1] end
end
return false
