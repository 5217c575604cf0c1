-- What earlier screens entered: each entry belongs to the login ID that made it, and lives as long as its term says. Its lines
-- are written LINE=YEN,LINE=YEN, a single one for a form that is filled as a whole.

local MOST_ENTRIES = 1000000
-- A renewal that would move an end by less than this part of the lifetime does not.
local STEPS_OF_RENEWAL = 10
local entry_ends = base .. 'entry-ends'

local function lines_out_of(text)
  local lines = {}
  for line, amount in string.gmatch(text, '(%x+)=(%d+)') do lines[line] = tonumber(amount) end
  return lines
end

local function written(lines)
  local text = {}
  for line, amount in pairs(lines) do text[#text + 1] = line .. '=' .. digits(amount) end
  table.sort(text)
  return table.concat(text, ',')
end

-- What the form can hold; what cannot be counted is above every ceiling.
local function total(lines)
  local sum = 0
  for _, amount in pairs(lines) do sum = math.min(sum + amount, MOST) end
  return sum
end

-- Takes the larger amount of each line.
local function join_lines(lines, others)
  for line, amount in pairs(others) do lines[line] = math.max(lines[line] or 0, amount) end
end

local function entry_out_of(found)
  local lines, end_moment, outlives = string.match(found, '^(%S+) (%d+) (%d*)$')
  return { lines = lines_out_of(lines), ends = tonumber(end_moment), outlives = outlives }
end

local function entry_of(key, login)
  local found = call('HGET', base .. 'entry:' .. key, login)
  return found and entry_out_of(found) or nil
end

-- Whose list of its kind it stands in.
local function entries_of(login, outlives)
  return base .. (outlives == '' and 'requests-of:' or 'entries-of:') .. login
end

local function forget_entry(key, login)
  call('HDEL', base .. 'entry:' .. key, login)
  call('ZREM', base .. 'requests-of:' .. login, key)
  call('ZREM', base .. 'entries-of:' .. login, key)
  call('ZREM', entry_ends, key .. ' ' .. login)
end

local function put_entry(key, login, entry)
  local ends = digits(entry.ends)
  call('HSET', base .. 'entry:' .. key, login, written(entry.lines) .. ' ' .. ends .. ' ' .. entry.outlives)
  call('ZADD', entries_of(login, entry.outlives), ends, key)
  call('ZADD', entry_ends, ends, key .. ' ' .. login)
end

-- Of two by one owner under one key: the larger amount of each line and the later end.
local function join_entry(entry, before)
  join_lines(entry.lines, before.lines)
  entry.ends = math.max(entry.ends, before.ends)
end

-- What the form under a key may hold, whoever filled it: of what has not ended, the larger amount of each line. nil where all
-- has ended.
local function entered(key, at)
  local lines
  for _, found in ipairs(call('HVALS', base .. 'entry:' .. key)) do
    local entry = entry_out_of(found)
    if entry.ends >= at then
      lines = lines or {}
      join_lines(lines, entry.lines)
    end
  end
  return lines
end

function verbs.enter()
  local key, login, at, day, most = ARGV[6], ARGV[7], tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13])
  local entry = { lines = lines_out_of(ARGV[8]), ends = tonumber(ARGV[9]), outlives = ARGV[10] }
  if tonumber(call('HGET', held, 'entry:' .. key) or '0') > 0 then return { 'in_use' } end
  -- A few of those that have expired go when one comes: more than one, so that there are fewer and fewer of them.
  for _, old in ipairs(call('ZRANGEBYSCORE', entry_ends, '-inf', '(' .. digits(at), 'LIMIT', 0, 16)) do
    forget_entry(string.match(old, '^(%S+) (%S+)$'))
  end
  local known = entry_of(key, login)
  if known and known.ends >= at then
    join_entry(entry, known)
  else
    local list = entries_of(login, entry.outlives)
    if call('ZCOUNT', list, digits(at), '+inf') >= most then return { 'too_many' } end
    if not known and call('ZCARD', entry_ends) >= MOST_ENTRIES then return { 'full' } end
  end
  -- Perhaps from one kind into the other.
  if known and known.outlives ~= entry.outlives then forget_entry(key, login) end
  put_entry(key, login, entry)
  note(digits(at), day)
  return { 'kept', digits(total(entered(key, at))), written(entry.lines), digits(entry.ends) }
end

-- A login ID was active. What has ended by then stays so.
function verbs.renew()
  local login, at, at_least, renewed = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]), {}
  for _, key in ipairs(call('ZRANGEBYSCORE', base .. 'entries-of:' .. login, digits(at), '+inf')) do
    local entry = entry_of(key, login)
    local outlives = math.max(tonumber(entry.outlives), at_least)
    if at + outlives >= entry.ends + math.floor(outlives / STEPS_OF_RENEWAL) then
      entry.ends, entry.outlives = at + outlives, digits(outlives)
      put_entry(key, login, entry)
      renewed[#renewed + 1] = { key, written(entry.lines), digits(entry.ends), entry.outlives }
    end
  end
  return renewed
end

-- An entry as a journal remembers it: of what is here and what is remembered, the larger amount of each line and the later end.
function free.restore_entry()
  local key, login = ARGV[6], ARGV[7]
  local entry = { lines = lines_out_of(ARGV[8]), ends = tonumber(ARGV[9]), outlives = ARGV[10] }
  local known = entry_of(key, login)
  if known then
    join_entry(entry, known)
    forget_entry(key, login)
  end
  put_entry(key, login, entry)
  return { 'done' }
end
