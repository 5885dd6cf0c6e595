-- wrk script: the toggles of taps.lua, each with a header whose value is new each time. NAME says which header;
-- under another name than Idempotency-Key the service ignores it, and the generator does the same work.
local name = os.getenv("NAME") or "Idempotency-Key"
local heads, tail, n, run = {}, nil, 0, nil

init = function(_)
  math.randomseed(7)
  run = string.format("%x-%p-", os.time(), heads)
  for i = 1, 20000 do
    local path = string.format(
      "/v1/posts/00000000-0000-4000-8000-%012d/reactions/like/users/%d/toggle",
      math.random(1, 20000), math.random(1, 100000))
    local whole = wrk.format("POST", path, { [name] = "@" })
    heads[i], tail = whole:match("^(.-)@(.*)$")
  end
end

request = function()
  n = n + 1
  return heads[n % 20000 + 1] .. run .. n .. tail
end
