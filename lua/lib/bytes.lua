-- The order of ids: by bytes, as sorted sets have it. Lua's `<` compares texts by the locale of the
-- server, which may order them otherwise.
-- Commands  none

local function is_above(one, other)
  for i = 1, math.min(#one, #other) do
    local a, b = string.byte(one, i), string.byte(other, i)
    if a ~= b then return a > b end
  end
  return #one > #other
end
