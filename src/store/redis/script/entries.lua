-- Amounts of earlier screens: each belongs to the login ID that entered it, and lives as long as its term says.

local MOST_ENTRIES = 1000000
-- A renewal that would move an end by less than this part of the lifetime does not.
local STEPS_OF_RENEWAL = 10
local entry_ends = base .. 'entry-ends'

local function entry_out_of(found)
  local amount, end_moment, outlives = string.match(found, '^(%d+) (%d+) (%d*)$')
  return { amount = tonumber(amount), ends = tonumber(end_moment), outlives = outlives }
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
  call('HSET', base .. 'entry:' .. key, login, digits(entry.amount) .. ' ' .. ends .. ' ' .. entry.outlives)
  call('ZADD', entries_of(login, entry.outlives), ends, key)
  call('ZADD', entry_ends, ends, key .. ' ' .. login)
end

-- Of two by one owner under one key: the larger amount and the later end.
local function join_entry(entry, before)
  entry.amount, entry.ends = math.max(entry.amount, before.amount), math.max(entry.ends, before.ends)
end

-- The largest amount under a key that has not ended, whoever entered it.
local function largest(key, at)
  local amount
  for _, found in ipairs(call('HVALS', base .. 'entry:' .. key)) do
    local entry = entry_out_of(found)
    if entry.ends >= at then amount = math.max(amount or 0, entry.amount) end
  end
  return amount
end

function verbs.enter()
  local key, login, at, day, most = ARGV[6], ARGV[7], tonumber(ARGV[11]), ARGV[12], tonumber(ARGV[13])
  local entry = { amount = tonumber(ARGV[8]), ends = tonumber(ARGV[9]), outlives = ARGV[10] }
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
  return { 'kept', digits(largest(key, at)), digits(entry.amount), digits(entry.ends) }
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
      renewed[#renewed + 1] = { key, digits(entry.amount), digits(entry.ends), entry.outlives }
    end
  end
  return renewed
end

-- An entry as a journal remembers it: of what is here and what is remembered, the larger amount and the later end.
function free.restore_entry()
  local key, login = ARGV[6], ARGV[7]
  local entry = { amount = tonumber(ARGV[8]), ends = tonumber(ARGV[9]), outlives = ARGV[10] }
  local known = entry_of(key, login)
  if known then
    join_entry(entry, known)
    forget_entry(key, login)
  end
  put_entry(key, login, entry)
  return { 'done' }
end
