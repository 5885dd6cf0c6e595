-- A batch of amendments: each is one step of an import or a job on one post.
--
-- KEYS, per post   1 post   see members.lua
--                  2 log    see log.lua
--                  3 once   what makes a repetition harmless: a string with the outcomes, which
--                           expires; or marks, see marks.lua; only for an amendment that has it
-- Derived keys     the members of each reaction that an edit names; the hints of its user; floor
-- ARGV, once       see deadline.lua
-- ARGV, per post   1 post id as 16 bytes  2 not_after, in µs of this server's clock
--                  3 cause: the field in the log  4 the moderator that acts, or ''
--                  5 once: '' for none, s for a step, or for an import: +, or - without merging;
--                    1 if more rows of the post may follow, or 0; the source as 16 bytes; and how
--                    many rows come before
--                  6 the rules that it states, see ruling.lua, or ''
--                  7 1 only to answer what it would do, or ''
--                  8 how many edits follow: see edits.lua
-- Returns, per post   1 status: see status.lua
--                  2 a letter for the import, see marks.lua, and one for each edit: u unchanged,
--                    a added, m moved, r removed, l lost; then one for the rules, if it states any
--                  3 revision
-- Commands  GET SET

--- @include "apply"
--- @include "marks"
--- @include "ruling"

local FIXED, PER_EDIT = 8, 5
local STEP_KEPT_MILLIS, STEP_KEPT_MILLIS_WHEN_FULL = '3600000', '60000'

local function amend(post, log, once, raw, not_after, cause, actor, step, rules, dry, edits, arg)
  local is_import = #step > 1
  local kept = step == 's' and try('GET', once)
  if type(kept) == 'table' then return failure(kept), 0, 0 end
  if kept then
    local text, revision = string.match(kept, '^(%a+) (%d+)$')
    if not text then return DAMAGED, 0, 0 end
    return REPLAYED, text, tonumber(revision)
  end
  local state, present, no_floor = look_at(post, not_after)
  if not state then return present, no_floor, 0 end
  local mark, problem, why, done, live, over
  local source, from = string.sub(step, 3, 18), tonumber(string.sub(step, 19)) or 0
  local more = string.sub(step, 2, 2) == '1'
  if is_import then
    mark, problem = mark_of(once, raw)
    if problem then return problem, 0, 0 end
    why, done, live, over =
      judge_import(mark, source, from, edits, string.sub(step, 1, 1) == '+', state[1], present, dry)
    if why then return 0, why .. string.rep('u', edits + (rules and 1 or 0)), present end
  end
  local run, outcomes, emptied = new_run(post, present, actor), { APPLIED }, nil
  for i = 1, edits do
    local at = arg + PER_EDIT * (i - 1)
    local late = (live or 0) > 0 and tonumber(ARGV[at + 2]) <= live
    outcomes[i + 1] = i <= (done or 0) and 'u' or late and 'l' or edit(run, at, outcomes[i] == 'r')
    if run.problem then return run.problem, 0, 0 end
  end
  if rules then
    local is_kept = (live or 0) > 0 or over and has_rules(state)
    outcomes[edits + 2] = state_rules(run, state, rules, is_kept)
  end
  if dry then return 0, table.concat(outcomes), present end
  local changes = #run.entries > 0
  if changes then
    problem, emptied = write(run, log, raw, cause, state, no_floor)
    if problem then return problem, 0, 0 end
  end
  local text, revision = table.concat(outcomes), run.revision
  if is_import then
    local after = over or emptied and math.max(revision, (floor_of(post))) or revision
    -- Without state the floor stands for the post's revision, and any other post raises it.
    if (emptied or not (changes or state[1])) and not more and live == 0 and not over then
      delete_mark(once, raw, mark)
    else
      write_mark(once, raw, source, from + edits, after, live)
    end
  elseif step == 's' and (changes or not full) then
    call('SET', once, text .. string.format(' %.0f', revision), 'PX',
      full and STEP_KEPT_MILLIS_WHEN_FULL or STEP_KEPT_MILLIS)
  end
  return changes and CHANGED or 0, text, revision
end

local function amendments()
  local answer, key, arg = { now }, 0, 5
  while arg < #ARGV do
    local at, step, rules, edits = #answer, ARGV[arg + 5], ARGV[arg + 6], tonumber(ARGV[arg + 8])
    answer[at + 1], answer[at + 2], answer[at + 3] = amend(KEYS[key + 1], KEYS[key + 2],
      step ~= '' and KEYS[key + 3], ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4],
      step, rules ~= '' and rules, ARGV[arg + 7] == '1', edits, arg + FIXED + 1)
    key, arg = key + (step ~= '' and 3 or 2), arg + FIXED + PER_EDIT * edits
  end
  return answer
end
