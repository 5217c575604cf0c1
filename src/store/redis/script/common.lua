-- The ledger in Redis: one script, one verb per call, every call atomic and safe to send again.
--
-- KEYS[1] is PREFIX:meta with the prefix in braces; every other key shares those braces, and with them the hash slot.
-- ARGV: verb, member, session, epoch, least sequence, then what the verb needs. Numbers travel as text: a Lua number is
-- exact to 2^53, but is printed with fifteen digits.
--
-- What is kept under the prefix:
--   meta            epoch, server, open, opens-at, sequence, latest, latest-day, ended, session:MEMBER
--   members         member -> the epoch that it has replayed its journal in; '' where it must
--   transfer:ID     one transfer, field by field
--   number:NUMBER   the application's number of an order -> ID; '' where two have it
--   day:DAY         sequence -> ID, of the transfers accepted on a day; days: those days
--   of:DAY:LOGIN    the same of one login ID, also of the days on which a transfer counts
--   sums:DAY        basis:LOGIN -> yen; sum-days: those days
--   reserved, unknown   sequence -> ID of what is not settled for good
--   held            how many open transfers hold on to a token, an entry, a place in flight
--   entry:KEY       LOGIN -> lines, end, for how long it outlives the last activity ('' where that does not matter):
--                   what earlier screens entered; entry-ends: end -> KEY LOGIN
--   entry-amounts   how many amounts stand in entries: entries:LOGIN, requests:LOGIN, all
--   entries-of:LOGIN, requests-of:LOGIN   end -> KEY, of those that live on while their owner is active and of the others
--   own             contract -> when it was learned, and the customer's own limit

local verb, member, session, epoch, seen = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local base = string.sub(KEYS[1], 1, -5)
local meta, members = base .. 'meta', base .. 'members'
local reserved, unknown, held = base .. 'reserved', base .. 'unknown', base .. 'held'
local days, sum_days = base .. 'days', base .. 'sum-days'
local MOST = 9007199254740991
local call = redis.call
local verbs, free = {}, {}

local function digits(number)
  return string.format('%.0f', number)
end

-- This very process in this very role: both change when another takes over, one when it is started again.
local function server()
  return string.match(call('INFO', 'server'), 'run_id:(%x+)') .. '/'
    .. string.match(call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- Whether this is the data that the caller knows, and the caller the member that it says it is.
-- 'stale': another epoch, another server, older data, a later session. 'closed': somebody has not replayed yet.
local function standing()
  local now = call('HMGET', meta, 'epoch', 'server', 'open', 'sequence', 'session:' .. member)
  if now[1] ~= epoch or now[2] ~= server() or now[5] ~= session or tonumber(now[4] or '0') < seen then
    return 'stale'
  end
  return now[3] == '1' and 'open' or 'closed'
end

-- A hash as a table; nil where there is none.
local function row(key)
  local flat = call('HGETALL', key)
  if #flat == 0 then return nil end
  local found = {}
  for at = 1, #flat, 2 do found[flat[at]] = flat[at + 1] end
  return found
end

-- The latest moment on record. When a day has ended, the gateways cut off what is too old, counted from that day.
local function note(at, day)
  local before = call('HMGET', meta, 'latest', 'latest-day')
  if before[1] and tonumber(at) <= tonumber(before[1]) then return end
  if before[2] and tonumber(day) > tonumber(before[2]) then call('HSET', meta, 'ended', before[2]) end
  call('HSET', meta, 'latest', at, 'latest-day', day)
end

local function sum_of(basis, day, login)
  return tonumber(call('HGET', base .. 'sums:' .. day, basis .. ':' .. login) or '0')
end

local function counts(state)
  return state ~= 'released'
end

-- Each sum that a transfer counts in.
local function debits_of(transfer)
  return string.gmatch(transfer.debits, '(%a+):(%d+)')
end

-- Whether the sums stay exact numbers.
local function can_be_counted(transfer)
  for basis, day in debits_of(transfer) do
    if sum_of(basis, day, transfer.login) + tonumber(transfer.amount) > MOST then return false end
  end
  return true
end

local function add_sums(transfer)
  for basis, day in debits_of(transfer) do
    call('HINCRBY', base .. 'sums:' .. day, basis .. ':' .. transfer.login, transfer.amount)
    call('ZADD', sum_days, day, day)
  end
end

-- Old sums are gone altogether; one that is too small is damage, and damage frees nothing.
local function subtract_sums(transfer)
  for basis, day in debits_of(transfer) do
    if sum_of(basis, day, transfer.login) >= tonumber(transfer.amount) then
      call('HINCRBY', base .. 'sums:' .. day, basis .. ':' .. transfer.login, '-' .. transfer.amount)
    end
  end
end

-- Takes (1) or gives back (-1) what an open transfer holds on to.
local function hold(id, transfer, by)
  local function bump(field)
    if call('HINCRBY', held, field, by) <= 0 then call('HDEL', held, field) end
  end
  local list = transfer.state == 'reserved' and reserved or transfer.state == 'unknown' and unknown
  if not list then return end
  if by > 0 then call('ZADD', list, transfer.sequence, id) else call('ZREM', list, id) end
  if transfer.state == 'reserved' then
    bump('login:' .. transfer.login)
    bump('contract:' .. transfer.contract)
  end
  if transfer.entry ~= '' then bump('entry:' .. transfer.entry) end
  if transfer.token ~= '' then bump('token:' .. transfer.token .. ':' .. transfer.contract) end
end

-- A customer's own limit, as text; nil where none is known.
local function own_limit_of(contract)
  return string.match(call('HGET', base .. 'own', contract) or '', '%d+ (%d+)')
end

-- A new transfer, or one that its owner's journal remembers.
local function record(id, transfer)
  transfer.sequence = digits(call('HINCRBY', meta, 'sequence', 1))
  local flat = {}
  for field, value in pairs(transfer) do
    flat[#flat + 1] = field
    flat[#flat + 1] = value
  end
  call('HSET', base .. 'transfer:' .. id, unpack(flat))
  call('ZADD', base .. 'day:' .. transfer.day, transfer.sequence, id)
  call('ZADD', days, transfer.day, transfer.day)
  call('ZADD', base .. 'of:' .. transfer.day .. ':' .. transfer.login, transfer.sequence, id)
  for _, day in debits_of(transfer) do
    call('ZADD', base .. 'of:' .. day .. ':' .. transfer.login, transfer.sequence, id)
  end
  if counts(transfer.state) then add_sums(transfer) end
  hold(id, transfer, 1)
end

-- Puts a transfer into its next state. What it does not move any more, it does not count.
local function close(id, transfer, state, why, settled_at)
  hold(id, transfer, -1)
  if counts(transfer.state) and not counts(state) then subtract_sums(transfer) end
  if counts(state) and not counts(transfer.state) then add_sums(transfer) end
  transfer.state, transfer.why, transfer['settled-at'] = state, why, settled_at
  call('HSET', base .. 'transfer:' .. id, 'state', state, 'why', why, 'settled-at', settled_at)
  hold(id, transfer, 1)
end
