-- What operators look at, how far the store has come, and forgetting what is too old.

local function with_rows(ids)
  local found = {}
  for _, id in ipairs(ids) do found[#found + 1] = { id, call('HGETALL', base .. 'transfer:' .. id) } end
  return found
end

function verbs.transfer()
  return call('HGETALL', base .. 'transfer:' .. ARGV[6])
end

-- Some of the unknown ones behind a sequence.
function verbs.unknown()
  return with_rows(call('ZRANGEBYSCORE', unknown, '(' .. ARGV[6], '+inf', 'LIMIT', 0, ARGV[7]))
end

function verbs.own_limit()
  return { own_limit_of(ARGV[6]) or '' }
end

-- A contract's day: its own limit, its members' sums, their transfers.
function verbs.statement()
  local day, contract = ARGV[6], ARGV[7]
  local sums, ids = {}, {}
  for at = 8, #ARGV do
    for _, basis in ipairs({ 'accepted', 'designated' }) do
      local sum = call('HGET', base .. 'sums:' .. day, basis .. ':' .. ARGV[at])
      if sum then sums[#sums + 1] = { ARGV[at], basis, sum } end
    end
    for _, id in ipairs(call('ZRANGE', base .. 'of:' .. day .. ':' .. ARGV[at], 0, -1)) do ids[#ids + 1] = id end
  end
  return { own_limit_of(contract) or '', sums, with_rows(ids) }
end

-- Some of the transfers accepted from a place (a day and a sequence) to a day: the first day that has any.
function verbs.chunk()
  local from_day, from_sequence, to_day, most = tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9]
  for _, day in ipairs(call('ZRANGEBYSCORE', days, from_day, to_day)) do
    local from = tonumber(day) == from_day and from_sequence or '0'
    local ids = call('ZRANGEBYSCORE', base .. 'day:' .. day, from, '+inf', 'LIMIT', 0, most)
    if #ids > 0 then return { day, with_rows(ids) } end
  end
  return {}
end

function free.status()
  local found = call('HMGET', meta, 'sequence', 'ended')
  return { found[1] or '0', digits(call('ZCARD', reserved)), digits(call('ZCARD', unknown)), found[2] or '' }
end

-- Forgets settled transfers accepted before a day, looking at no more than so many from a place on, and the sums of
-- such days. What is open stays. The place to go on from, if there is more. What is old is counted in days on which
-- transfers came, so that a clock that leaps ahead does not cut off a day that is still to come back.
function verbs.prune()
  local before, from_day, from_sequence, most = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
  local followed = call('ZREVRANGE', days, ARGV[10], ARGV[10])[1]
  if not followed then return {} end
  before = digits(math.min(before, tonumber(followed)))
  for _, day in ipairs(call('ZRANGEBYSCORE', sum_days, '-inf', '(' .. before, 'LIMIT', 0, most)) do
    call('UNLINK', base .. 'sums:' .. day)
    call('ZREM', sum_days, day)
  end
  for _, day in ipairs(call('ZRANGEBYSCORE', days, from_day, '(' .. before)) do
    local list = base .. 'day:' .. day
    local from = tonumber(day) == from_day and from_sequence or '0'
    local ids = call('ZRANGEBYSCORE', list, from, '+inf', 'LIMIT', 0, most)
    local last
    for _, id in ipairs(ids) do
      local transfer = row(base .. 'transfer:' .. id)
      last = transfer.sequence
      if transfer.state == 'committed' or transfer.state == 'released' then
        call('ZREM', list, id)
        call('ZREM', base .. 'of:' .. day .. ':' .. transfer.login, id)
        for _, counted in debits_of(transfer) do
          call('ZREM', base .. 'of:' .. counted .. ':' .. transfer.login, id)
        end
        call('UNLINK', base .. 'transfer:' .. id)
        -- One that two orders had stays nobody's.
        local number = transfer.number and base .. 'number:' .. transfer.number
        if number and call('GET', number) == id then call('UNLINK', number) end
      end
    end
    if call('ZCARD', list) == 0 then call('ZREM', days, day) end
    if #ids == most then return { day, digits(tonumber(last) + 1) } end
  end
  return {}
end
