-- Arguments: path, file with the body, mean pause of a connection in milliseconds (0: none), header lines.
local request_bytes
local pause

function init(arguments)
  local file = assert(io.open(arguments[2], "rb"))
  local body = file:read("*a")
  file:close()
  pause = tonumber(arguments[3])
  local headers = { ["content-type"] = "application/json" }
  for at = 4, #arguments do
    local name, value = arguments[at]:match("^([^:]+):%s*(.*)$")
    headers[name] = value
  end
  request_bytes = wrk.format("POST", arguments[1], headers, body)
  math.randomseed(20)
  if pause == 0 then
    delay = nil
  end
end

function delay()
  return math.random(0, 2 * pause)
end

function request()
  return request_bytes
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"max":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
