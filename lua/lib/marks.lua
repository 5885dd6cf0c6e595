-- The marks of imports: how far a file is in with a post. They survive a tap that empties a post.
--
-- Keys      marks  string, one per bucket of posts: a record of 56 bytes for each post: its id, then
--                  source, done, revision and live of the mark; expires 30 days after the last write
-- Commands  DEL GET SET

--- @include "clock"

local RECORD_BYTES, KEPT_MILLIS = 56, '2678400000'
local APPLIED, DONE, LIVE_TAPS, BEHIND = 'A', 'D', 'L', 'B'

-- Returns {at, source, done, revision, live}, or false; the text of the bucket; and a failure.
local function mark_of(marks, raw)
  local kept = try('GET', marks)
  if type(kept) == 'table' then return false, '', failure(kept) end
  if not kept then return false, '' end
  if #kept % RECORD_BYTES ~= 0 then return false, '', DAMAGED end
  local at = 0
  repeat
    at = string.find(kept, raw, at + 1, true)
  until not at or at % RECORD_BYTES == 1
  if not at then return false, kept end
  local source, done, revision, live = struct.unpack('>c16ddd', string.sub(kept, at + 16, at + 55))
  return { at = at, source = source, done = done, revision = revision, live = live }, kept
end

local function write_mark(marks, kept, mark, raw, source, done, revision, live)
  local record = struct.pack('>c16c16ddd', raw, source, done, revision, live)
  local at = mark and mark.at or #kept + 1
  call('SET', marks, string.sub(kept, 1, at - 1) .. record .. string.sub(kept, at + RECORD_BYTES),
    'PX', KEPT_MILLIS)
end

-- The 16 bytes of an id of 36 characters.
local function packed(id)
  local function byte(digits) return string.char(tonumber(digits, 16)) end
  return (string.gsub(string.gsub(id, '%-', ''), '%x%x', byte))
end

local function delete_mark(marks, kept, mark)
  if not mark then return end
  local rest = string.sub(kept, 1, mark.at - 1) .. string.sub(kept, mark.at + RECORD_BYTES)
  if rest == '' then call('DEL', marks) else call('SET', marks, rest, 'PX', KEPT_MILLIS) end
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
