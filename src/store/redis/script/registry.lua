-- The registry that gateways share: a log of what was changed, in the order in which it was.
--
-- KEYS[1] is a hash of position to entry, from 0 on, and of '#end' to the position behind the last. An entry is a line that says
-- what it is, and below it rows (store/registry), one in a line:
--   'part SET TIME'          some of a set of rows that is not complete; nothing of it is in force
--   'whole SET TOKEN REACH'  the rest of it, or all of it: it is in force
--   'abort SET TOKEN'        the set before it was given up
-- TIME is in milliseconds, of this server. ARGV: verb, and what the verb needs.
--
-- The first line of an entry is that of no other: sets and tokens are random.
-- Redis may forget all of it, or its end: a gateway says how far it has read, and the first line of the last entry that it has.

local log, verb = KEYS[1], ARGV[1]

-- How long a set may stay without another part of it before somebody else may go on.
local PATIENCE = 30000

-- One that was a primary, and is none any more, does not know the latest entry.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('REPLICA it is none that keeps the log any more')
end

local function read(position)
  return redis.call('HGET', log, string.format('%.0f', position))
end

local function log_end()
  return tonumber(redis.call('HGET', log, '#end') or '0')
end

local function put(position, entry)
  redis.call('HSET', log, string.format('%.0f', position), entry, '#end', string.format('%.0f', position + 1))
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function head(entry)
  local words = {}
  for word in string.gmatch(string.match(entry, '^[^\n]*'), '%S+') do table.insert(words, word) end
  return words
end

-- What lies behind a position, as much as is not too much at once. 'lost' where the log is another one: where the last entry
-- that the caller has read, which it knows by its first line, is not there.
if verb == 'look' then
  local position, known = tonumber(ARGV[2]), ARGV[3]
  if position > 0 then
    local entry = read(position - 1)
    if not entry or string.match(entry, '^[^\n]*') ~= known then return { 'lost' } end
  end
  if log_end() < position then return { 'lost' } end
  local answer, bytes = { 'at', string.format('%.0f', log_end()) }, 0
  while bytes < 1000000 do
    local entry = position < log_end() and read(position)
    if not entry then break end
    table.insert(answer, entry)
    bytes, position = bytes + #entry, position + 1
  end
  return answer
end

-- One entry at the end, where the end is where the caller takes it to be, and nobody else is in the middle of a set.
if verb == 'append' then
  local position, set, kind, rest = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
  if log_end() ~= position then return { 'moved' } end
  local last = position > 0 and head(read(position - 1)) or { 'whole' }
  if last[1] == 'part' and last[2] ~= set then
    -- One that is in the future was written by a server whose clock nobody has any more.
    local age = now() - tonumber(last[3])
    if age >= 0 and age < PATIENCE then return { 'busy' } end
    put(position, 'abort ' .. last[2] .. ' ' .. ARGV[6])
    return { 'moved' }
  end
  if kind == 'part' then
    put(position, 'part ' .. set .. ' ' .. string.format('%.0f', now()) .. '\n' .. rest)
  else
    put(position, kind .. ' ' .. set .. ' ' .. ARGV[6] .. ' ' .. ARGV[7] .. '\n' .. rest)
  end
  return { 'done', string.match(read(position), '^[^\n]*') }
end

return redis.error_reply('no such verb')
