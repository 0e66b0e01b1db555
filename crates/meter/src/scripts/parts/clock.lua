-- Redis's own time in milliseconds; a test may put another in its place.
local now = {clock}
