-- The server's clock, read once per call: all items of a batch get the same time.
-- Commands  TIME

--- @include "status"

local clock = call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- The format of integers: tostring would answer 1.7e+15. '%d' takes a quarter of the time of '%.0f',
-- but a server of 32 bits cuts it off.
local WHOLE = string.format('%d', 2 ^ 52) == '4503599627370496' and '%d' or '%.0f'
local now_text = string.format(WHOLE, now)
