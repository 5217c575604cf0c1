-- Blocks that gateways share: the latest act on each subject, and which of two is later.
--
-- KEYS[1] is a hash of subject to line. A line is a number, a blank, and the act as JSON (store/blocks/entry.rs). Beside them
-- lie '#token', which every change replaces, and '#highest', the highest number that was ever given here.
-- ARGV: verb, token, and what the verb needs. Every verb answers with lines; `look` with the token before them.
--
-- Redis may forget all of it, or its end: the gateways see another token, and put back what they keep on their disks.

local acts, verb, token = KEYS[1], ARGV[1], ARGV[2]

-- One that was a primary, and is none any more, does not know the latest act.
if not string.find(redis.call('INFO', 'replication'), 'role:master', 1, true) then
  return redis.error_reply('REPLICA it is none that gives numbers any more')
end

local function read(line)
  if not line then return nil end
  local number, act = string.match(line, '^(%d+) (.*)$')
  act = cjson.decode(act)
  act.number = tonumber(number)
  return act
end

local function is_later(one, other)
  if one.number ~= other.number then return one.number > other.number end
  return one.process > other.process
end

local function highest()
  return tonumber(redis.call('HGET', acts, '#highest') or '0')
end

local function keep(subject, line, number)
  redis.call('HSET', acts, subject, line, '#token', token)
  if number > highest() then redis.call('HSET', acts, '#highest', string.format('%.0f', number)) end
  return { line }
end

local function give_number(subject, known, act)
  local number = math.max(highest(), tonumber(known)) + 1
  return keep(subject, string.format('%.0f', number) .. ' ' .. act, number)
end

-- What is there, unless the caller knows it.
if verb == 'look' then
  local now = redis.call('HGET', acts, '#token') or ''
  if now == token then return { now } end
  local answer, all = { now }, redis.call('HGETALL', acts)
  for at = 1, #all, 2 do
    if string.sub(all[at], 1, 1) ~= '#' then table.insert(answer, all[at + 1]) end
  end
  return answer
end

-- Puts back what was forgotten.
if verb == 'put-back' then
  local subject, line = ARGV[3], ARGV[4]
  local known, mine = read(redis.call('HGET', acts, subject)), read(line)
  if not known or is_later(mine, known) then return keep(subject, line, mine.number) end
  return { redis.call('HGET', acts, subject) }
end

local subject, number, text = ARGV[3], ARGV[4], ARGV[5]
local line = redis.call('HGET', acts, subject)
local known, act = read(line), cjson.decode(text)

-- What is blocked stays so by the block that did it. One that was told twice is known by its name, lifted or not.
if verb == 'block' then
  if known and (known.state == 'blocked' or known.block == act.block) then return { line } end
  return give_number(subject, number, text)
end

-- Only the block that its caller has seen is lifted.
if verb == 'lift' then
  if known and known.state == 'blocked' and known.block == act.block then return give_number(subject, number, text) end
  return { line }
end

return redis.error_reply('no such verb')
