-- The server's clock, read once per call: all items of a batch get the same time.
-- Commands  TIME

--- @include "status"

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
local now_text = string.format('%.0f', now) -- tostring would answer 1.7e+15
