-- wrk script: toggles of users by their tokens, one line `USER TOKEN` each in the file TOKENS. NAMED is
-- `me` or `id`: how the path names the user. The generator sends the token in both.
local named = os.getenv("NAMED") or "me"
local prepared, n = {}, 0

init = function(_)
  math.randomseed(7)
  for line in io.lines(os.getenv("TOKENS")) do
    local user, token = line:match("^(%d+) (.*)$")
    local path = string.format(
      "/v1/posts/00000000-0000-4000-8000-%012d/reactions/like/users/%s/toggle",
      math.random(1, 20000), named == "me" and "me" or user)
    prepared[#prepared + 1] = wrk.format("POST", path, { Authorization = "Bearer " .. token })
  end
end

request = function()
  n = n % #prepared + 1
  return prepared[n]
end
