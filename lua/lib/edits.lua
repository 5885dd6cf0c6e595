-- The edits of an amendment: what they make of the members that they name. Nothing is written here.
--
-- Derived   the members of each reaction that an edit names; floor, see partition.lua
-- Commands  none
--
-- An edit has five arguments: 1 user id  2 reaction  3 time in µs  4 act, a letter: see ACTS; with
-- a merge or a move, the reactions that exclude its own follow, each behind a space  5 bucket of
-- the user

--- @include "look"
--- @include "revision"
--- @include "scores"

local MOVE = 'v'

-- The time of a member after an edit; `since` is the time before it, false if there is none.
local ACTS = {
  p = function(since, at) return since and math.max(since, at) or at end,
  r = function(since, at) return since or at end,
  m = function(since, at) return since and math.min(since, at) or at end,
  v = function(since, at) return since and math.min(since, at) or at end,
  u = function(since, at) return since and since > at and since end,
  a = function(since, at) return since and since ~= at and since end,
}

-- What the edits so far have led to. `sets`: the members of each reaction, as far as edits name
-- them. `head`: how an entry of the log begins. `fields`: those of entries that do not name the cause.
local function new_run(post, previous, actor)
  return {
    post = post, revision = previous, head = string.sub(post, -36) .. ' ', sets = {}, entries = {},
    fields = {},
    actor = actor ~= '' and ' ' .. actor or '', buckets = {},
  }
end

-- Members of a reaction: how many there are, and when those that edits name reacted, before and
-- after.
local function set_of(run, reaction)
  local set = run.sets[reaction]
  if set then return set end
  local key = members_of(run.post, reaction)
  local size, problem = count_members(key)
  run.problem = run.problem or problem
  set = { key = key, size = size or 0, count = size or 0, was = {}, is = {} }
  run.sets[reaction] = set
  return set
end

local function since(run, set, user)
  local at = set.is[user]
  if at == nil then
    local problem
    at = false
    if set.size > 0 then
      at, problem = score_of(set.key, user)
      run.problem = run.problem or problem
    end
    set.was[user], set.is[user] = at, at
  end
  return at
end

-- Gives a member a time, or takes it; that is a change with an entry in the log.
local function give(run, set, user, reaction, at)
  local before, text = set.is[user], nil
  set.is[user] = at
  if (before and 1 or 0) ~= (at and 1 or 0) then
    set.count, set.touched = set.count + (at and 1 or -1), true
  end
  run.revision, text = next_revision(run.revision)
  local entry = run.head .. user .. ' ' .. reaction .. (at and ' 1 ' or ' 0 ') .. text
  if run.revision > now or run.actor ~= '' then entry = entry .. ' ' .. now_text .. run.actor end
  run.text, run.entries[#run.entries + 1] = text, entry
end

-- Removes what excludes a reaction that the user gets, unless some of it is newer. Returns whether
-- none is.
local function takes_place(run, user, reaction, at, excluded)
  local held = {}
  for other in string.gmatch(excluded, '%S+') do
    if other ~= reaction then
      local set = set_of(run, other)
      local its = since(run, set, user)
      if its and its > at then return false end
      if its then held[#held + 1] = other end
    end
  end
  for _, other in ipairs(held) do give(run, run.sets[other], user, other, false) end
  return true
end

-- Runs the edit whose arguments begin at `arg`, and returns the letter of its outcome. `removed`:
-- whether the edit before it removed a member; without that, a move does nothing.
local function edit(run, arg, removed)
  local user, reaction, time, act = ARGV[arg], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3]
  local verb = string.sub(act, 1, 1)
  if verb == MOVE and not removed then return 'l' end
  local at, set = tonumber(time), set_of(run, reaction)
  local before = since(run, set, user)
  run.buckets[user] = ARGV[arg + 4]
  if #act > 1 then
    if not takes_place(run, user, reaction, at, string.sub(act, 2)) then return 'l' end
  end
  local after = ACTS[verb](before, at) or false
  if before == after then return 'u' end
  give(run, set, user, reaction, after)
  return not before and 'a' or not after and 'r' or 'm'
end
