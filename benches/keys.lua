-- wrk script: the toggles of taps.lua, each with a header that has a new value each time. NAME is
-- the name of the header. The service ignores any name but Idempotency-Key, so that the generator
-- does the same work in both runs.
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
