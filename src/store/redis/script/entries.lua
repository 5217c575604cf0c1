-- What earlier screens entered: each entry belongs to the login ID that made it, and lives as long as its term says. Its lines
-- are written LINE=YEN,LINE=YEN, a single one for a form that is filled as a whole.

local MOST_AMOUNTS = 1000000
-- A renewal that would move an end by less than this part of the lifetime does not.
local STEPS_OF_RENEWAL = 10
local entry_ends, amounts = base .. 'entry-ends', base .. 'entry-amounts'

local function lines_out_of(text)
  -- The version before wrote the largest amount of a form, and nothing else.
  if string.find(text, '^%d+$') then return { ['0'] = tonumber(text) } end
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

-- Its lines stay text, and are not even looked at: nearly always nobody asks for them. The two numbers behind them have fewer
-- than forty digits.
local function entry_out_of(found)
  local at, end_moment, outlives = string.match(found, '() (%d+) (%d*)$', -44)
  return { text = string.sub(found, 1, at - 1), ends = tonumber(end_moment), outlives = outlives }
end

local function entry_of(key, login)
  local found = call('HGET', base .. 'entry:' .. key, login)
  return found and entry_out_of(found) or nil
end

-- Whose list of its kind it stands in.
local function entries_of(login, outlives)
  return base .. (outlives == '' and 'requests-of:' or 'entries-of:') .. login
end

local function amounts_in(text)
  local _, lines = string.gsub(text, '=', '')
  return math.max(lines, 1)
end

-- Counts the amounts of a login ID's entries of one kind, and of all; those that have ended count until they are forgotten.
local function count_amounts(login, entry, by)
  for _, field in ipairs({ (entry.outlives == '' and 'requests:' or 'entries:') .. login, 'all' }) do
    if call('HINCRBY', amounts, field, by * amounts_in(entry.text)) <= 0 then call('HDEL', amounts, field) end
  end
end

local function forget_entry(key, login)
  local known = entry_of(key, login)
  if known then count_amounts(login, known, -1) end
  call('HDEL', base .. 'entry:' .. key, login)
  call('ZREM', base .. 'requests-of:' .. login, key)
  call('ZREM', base .. 'entries-of:' .. login, key)
  call('ZREM', entry_ends, key .. ' ' .. login)
end

-- In the place of the one before.
local function put_entry(key, login, entry)
  forget_entry(key, login)
  count_amounts(login, entry, 1)
  local ends = digits(entry.ends)
  call('HSET', base .. 'entry:' .. key, login, entry.text .. ' ' .. ends .. ' ' .. entry.outlives)
  call('ZADD', entries_of(login, entry.outlives), ends, key)
  call('ZADD', entry_ends, ends, key .. ' ' .. login)
end

-- Why a login ID may not have more amounts; nil where it may. First, those of its own that have ended go.
local function too_many(login, entry, more, at, most)
  local list = entries_of(login, entry.outlives)
  local function has()
    return tonumber(call('HGET', amounts, (entry.outlives == '' and 'requests:' or 'entries:') .. login) or '0') + more
  end
  if has() > most then
    for _, old in ipairs(call('ZRANGEBYSCORE', list, '-inf', '(' .. digits(at))) do forget_entry(old, login) end
    if has() > most then return { 'too_many' } end
  end
  if tonumber(call('HGET', amounts, 'all') or '0') + more > MOST_AMOUNTS then return { 'full' } end
end

-- Of two by one owner under one key: the larger amount of each line and the later end.
local function join_entry(entry, before)
  local lines = lines_out_of(entry.text)
  join_lines(lines, lines_out_of(before.text))
  entry.text = written(lines)
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
      join_lines(lines, lines_out_of(entry.text))
    end
  end
  return lines
end

function verbs.enter()
  local key, login, at, day, most = ARGV[6], ARGV[7], tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13])
  local entry = { text = ARGV[8], ends = tonumber(ARGV[9]), outlives = ARGV[10] }
  if tonumber(call('HGET', held, 'entry:' .. key) or '0') > 0 then return { 'in_use' } end
  -- A few of those that have expired go when one comes: more than one, so that there are fewer and fewer of them.
  for _, old in ipairs(call('ZRANGEBYSCORE', entry_ends, '-inf', '(' .. digits(at), 'LIMIT', 0, 16)) do
    forget_entry(string.match(old, '^(%S+) (%S+)$'))
  end
  local known, had = entry_of(key, login), 0
  if known and known.ends >= at then
    join_entry(entry, known)
    had = amounts_in(known.text)
  elseif known then
    forget_entry(key, login)
  end
  local more = amounts_in(entry.text) - had
  local refused = more > 0 and too_many(login, entry, more, at, most)
  if refused then return refused end
  put_entry(key, login, entry)
  note(digits(at), day)
  return { 'kept', digits(total(entered(key, at))), entry.text, digits(entry.ends) }
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
      renewed[#renewed + 1] = { key, entry.text, digits(entry.ends), entry.outlives }
    end
  end
  return renewed
end

-- An entry as a journal remembers it: of what is here and what is remembered, the larger amount of each line and the later end.
function free.restore_entry()
  local key, login = ARGV[6], ARGV[7]
  local entry = { text = ARGV[8], ends = tonumber(ARGV[9]), outlives = ARGV[10] }
  local known = entry_of(key, login)
  if known then join_entry(entry, known) end
  put_entry(key, login, entry)
  return { 'done' }
end
