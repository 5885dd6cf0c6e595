-- The marks of imports: how far a file is in with a post. They survive a tap that empties a post.
--
-- Keys      marks  hash, one per bucket of posts: a field for each post, its id as 16 bytes, with
--                  source, done, revision and live of the mark; expires 31 days after the last write
-- Commands  HDEL HGET HSET PEXPIRE

--- @include "clock"

local MARK, MARK_BYTES, KEPT_MILLIS = '>c16ddd', 40, '2678400000'
local APPLIED, DONE, LIVE_TAPS, BEHIND = 'A', 'D', 'L', 'B'

-- Returns {source, done, revision, live}, or false; and a failure.
local function mark_of(marks, raw)
  local kept = try('HGET', marks, raw)
  if type(kept) == 'table' then return false, failure(kept) end
  if not kept then return false end
  if #kept ~= MARK_BYTES then return false, DAMAGED end
  local source, done, revision, live = struct.unpack(MARK, kept)
  return { source = source, done = done, revision = revision, live = live }
end

local function write_mark(marks, raw, source, done, revision, live)
  call('HSET', marks, raw, struct.pack(MARK, source, done, revision, live))
  call('PEXPIRE', marks, KEPT_MILLIS)
end

local function delete_mark(marks, raw, mark)
  if mark then call('HDEL', marks, raw) end
end

-- The 16 bytes of an id of 36 characters.
local function packed(id)
  local function byte(digits) return string.char(tonumber(digits, 16)) end
  return (string.gsub(string.gsub(id, '%-', ''), '%x%x', byte))
end

-- Judges a step of an import. Returns why not to apply it; or nil, how many of its rows are done,
-- the revision of the live taps that its rows must be newer than, and the revision of the mark if
-- the step goes on over live taps: only the first step of a file is judged, so that a large post
-- comes in whole. `own`: whether the post has a state; `present`: its revision; `dry`: the steps
-- before this one count as applied.
local function judge_import(mark, source, from, rows, merges, own, present, dry)
  local same = mark and mark.source == source
  local done = same and mark.done or 0
  if same and done >= from + rows then return DONE end
  local live, over = math.min(present, now), nil -- a revision may be ahead of the clock
  if same and from > 0 and mark.live == 0 then
    live, over = 0, mark.revision ~= present and mark.revision or nil
  elseif mark and mark.revision == present then
    live = mark.live
  elseif not mark and not own then
    live = 0
  end
  if live > 0 and not merges then return LIVE_TAPS end
  if done < from and not dry then return BEHIND end
  return nil, math.min(math.max(done - from, 0), rows), live, over
end
