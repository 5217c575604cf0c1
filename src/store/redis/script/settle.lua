-- From the reservation to the end: the application's word, an operator's, and what owners find again after a restart.

-- The transfer and what belongs to its moment: ARGV[8] why, [9] microseconds, [10] text, [11] day.
local function settle(id, transfer, state)
  close(id, transfer, state, ARGV[8], ARGV[10])
  note(ARGV[9], ARGV[11])
end

function verbs.settle()
  local id, outcome = ARGV[6], ARGV[7]
  local transfer = row(base .. 'transfer:' .. id)
  if not transfer then return { 'none' } end
  -- The application's late yes costs nothing to believe. Its late no would free money: that is for people.
  if transfer.state == 'reserved' or transfer.state == 'unknown' and outcome == 'committed' then
    settle(id, transfer, outcome)
  end
  return { transfer.state }
end

-- Takes back a reservation whose grant nobody heard, unless somebody else asked for it as well.
function verbs.abandon()
  local id, asker = ARGV[6], ARGV[7]
  local transfer = row(base .. 'transfer:' .. id)
  if not transfer then return { 'none' } end
  if transfer.state == 'reserved' and transfer.asker == asker then settle(id, transfer, 'released') end
  return { transfer.state }
end

function verbs.reconcile()
  local id, verdict = ARGV[6], ARGV[7]
  local transfer = row(base .. 'transfer:' .. id)
  if not transfer then return { 'none' } end
  if transfer.state ~= 'unknown' then return { 'not_unknown', transfer.state } end
  settle(id, transfer, verdict)
  return { 'done', id, call('HGETALL', base .. 'transfer:' .. id) }
end

-- An operator corrects what was settled the other way. Corrections are counted: a journal that remembers what was before
-- does not undo them.
function verbs.correct()
  local id, verdict = ARGV[6], ARGV[7]
  local transfer = row(base .. 'transfer:' .. id)
  if not transfer then return { 'none' } end
  if transfer.state ~= 'committed' and transfer.state ~= 'released' then return { 'not_settled', transfer.state } end
  if transfer.state == verdict then return { 'already', verdict } end
  if counts(verdict) and not can_be_counted(transfer) then return { 'uncountable' } end
  call('HINCRBY', base .. 'transfer:' .. id, 'revision', 1)
  settle(id, transfer, verdict)
  return { 'done', id, call('HGETALL', base .. 'transfer:' .. id) }
end

-- The application's number of an order; one that another order has names neither from then on.
function verbs.number()
  local number, id = base .. 'number:' .. ARGV[6], ARGV[7]
  if call('HLEN', base .. 'transfer:' .. id) == 0 then return { 'done' } end
  local known = call('GET', number)
  call('SET', number, (not known or known == id) and id or '')
  call('HSET', base .. 'transfer:' .. id, 'number', ARGV[6])
  return { 'done' }
end

-- The application has cancelled the order with a number. A journal that remembers it as committed does not undo that; nor
-- does the number undo it where an operator puts the order back.
function verbs.cancel()
  local id = call('GET', base .. 'number:' .. ARGV[6])
  local transfer = id and row(base .. 'transfer:' .. id)
  if not transfer or transfer.state ~= 'committed' then return { 'none' } end
  call('HINCRBY', base .. 'transfer:' .. id, 'revision', 1)
  settle(id, transfer, 'released')
  call('HDEL', base .. 'transfer:' .. id, 'number')
  call('UNLINK', base .. 'number:' .. ARGV[6])
  return { 'done', id, call('HGETALL', base .. 'transfer:' .. id) }
end

-- An operator takes this store and the present clock for the right ones.
function free.accept()
  call('HSET', meta, 'latest', ARGV[6], 'latest-day', ARGV[7])
  call('HDEL', meta, 'ended')
  return { 'done' }
end

-- What the caller owns and has not settled for good.
function free.owned()
  local found = {}
  for _, list in ipairs({ reserved, unknown }) do
    for _, id in ipairs(call('ZRANGE', list, 0, -1)) do
      if call('HGET', base .. 'transfer:' .. id, 'owner') == member then
        found[#found + 1] = { id, call('HGETALL', base .. 'transfer:' .. id) }
      end
    end
  end
  return found
end

-- A transfer as a journal remembers it: whatever is known of it, the further state holds. Released and then committed
-- is a contradiction that counts.
local RANK = { reserved = 0, unknown = 1, released = 2, committed = 3 }

-- A whole transfer out of the arguments, and the moment that it tells of.
local function transfer_of_arguments()
  local transfer = {}
  for at = 7, #ARGV, 2 do transfer[ARGV[at]] = ARGV[at + 1] end
  local moment, day = transfer.moment, transfer['moment-day']
  transfer.moment, transfer['moment-day'] = nil, nil
  return ARGV[6], transfer, moment, day
end

-- Whether what is remembered is further than what is here: corrected more often, or else in a further state.
local function is_further(remembered, transfer)
  local theirs, ours = tonumber(remembered.revision), tonumber(transfer.revision or '0')
  if theirs ~= ours then return theirs > ours end
  return RANK[remembered.state] > RANK[transfer.state]
end

function free.restore()
  local id, remembered, moment, day = transfer_of_arguments()
  local transfer = row(base .. 'transfer:' .. id)
  if not transfer then
    record(id, remembered)
  elseif is_further(remembered, transfer) then
    close(id, transfer, remembered.state, remembered.why, remembered['settled-at'])
    call('HSET', base .. 'transfer:' .. id, 'revision', remembered.revision)
  end
  note(moment, day)
  return { 'done' }
end

-- An order that the bank executed by hand: no limit is asked.
function verbs.add()
  local id, added, moment, day = transfer_of_arguments()
  if call('HLEN', base .. 'transfer:' .. id) == 0 then
    if not can_be_counted(added) then return { 'uncountable' } end
    record(id, added)
    note(moment, day)
  end
  return { 'done', id, call('HGETALL', base .. 'transfer:' .. id) }
end

function free.restore_own()
  local before = string.match(call('HGET', base .. 'own', ARGV[6]) or '0 ', '(%d+) ')
  if tonumber(ARGV[8]) > tonumber(before) then call('HSET', base .. 'own', ARGV[6], ARGV[8] .. ' ' .. ARGV[7]) end
  return { 'done' }
end
