-- One bucket of a rate limit that gateways share: the arithmetic of policy/rate_limit/gcra.rs, step by step.
--
-- KEYS[1] is the bucket. It holds one number, the moment at which it will be empty, and is forgotten at that moment.
-- ARGV: verb, interval, burst, and in tests the moment. Times are whole microseconds: exact in a Lua number to 2^53.
-- The answer is how long to wait (0: the request conforms), and how many more conform.

local bucket, verb, interval, burst, now = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])

-- The server's clock, and not the gateways': it is the one that all of them share. By its own, a gateway that runs ahead
-- would find empty what the others have just filled. Nothing here depends on the day, which the gateways know better.
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function digits(number)
  return string.format('%.0f', number)
end

local empty_at = tonumber(redis.call('GET', bucket) or '0') or 0

if verb == 'give-back' then
  -- It is forgotten when it would have been; whoever gave it back earlier than that finds what is left of it.
  if empty_at > 0 then redis.call('SET', bucket, digits(math.max(empty_at - interval, 0)), 'KEEPTTL') end
  return { 0, 0 }
end

local full_at = now + interval * burst
local following = math.min(math.max(empty_at, now), full_at) + interval
if following > full_at then return { following - full_at, 0 } end
redis.call('SET', bucket, digits(following), 'PX', digits(math.ceil((following - now) / 1000)))
return { 0, math.floor((full_at - following) / interval) }
