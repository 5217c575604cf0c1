-- Who shares this store, and whether each of them has put back what Redis may have lost (LIM-39).

local function milliseconds()
  local now = call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end

-- Money may move once everybody has replayed in this epoch, and everybody had time to come.
local function open_if_ready()
  local standing_now = call('HMGET', meta, 'epoch', 'opens-at')
  local all = call('HGETALL', members)
  for at = 2, #all, 2 do
    if all[at] ~= standing_now[1] then return end
  end
  if milliseconds() >= tonumber(standing_now[2] or '0') then call('HSET', meta, 'open', '1') end
end

-- Comes, or looks. What was lost begins a new epoch: nobody's journal is in it. A new member begins one as well, but
-- what the others have replayed is still there; they only note that they are one more.
function free.join()
  local new_epoch, grace, known_from = ARGV[6], tonumber(ARGV[7]), 8
  local now = call('HMGET', meta, 'epoch', 'server', 'sequence', 'session:' .. member)
  local went_back = now[1] == epoch and tonumber(now[3] or '0') < seen
  local current = server()
  if not now[1] or now[2] ~= current or went_back then
    call('HSET', meta, 'epoch', new_epoch, 'server', current, 'open', '0')
    -- An empty Redis knows nobody: those who live are given time to say that they are members.
    if not now[1] then call('HSET', meta, 'opens-at', digits(milliseconds() + grace)) end
    for _, other in ipairs(call('HKEYS', members)) do call('HSET', members, other, '') end
    for at = known_from, #ARGV do call('HSET', members, ARGV[at], '') end
    call('HSET', members, member, '')
  elseif call('HEXISTS', members, member) == 0 then
    call('HSET', meta, 'epoch', new_epoch, 'open', '0')
    call('HSET', members, member, '')
  end
  if session == '' then
    session = digits(call('HINCRBY', meta, 'session:' .. member, 1))
  elseif now[4] ~= session then
    return { 'stale' }
  end
  open_if_ready()
  local found = call('HMGET', meta, 'epoch', 'open', 'sequence')
  return { 'fleet', session, found[1], found[2], found[3] or '0', call('TIME'), call('HGETALL', members) }
end

function free.report()
  call('HSET', members, member, epoch)
  open_if_ready()
  return { 'done' }
end

-- An operator gives a member up: what it had on its way is unknown, and nobody waits for its journal any more.
function free.write_off()
  local other = ARGV[6]
  if call('HDEL', members, other) == 0 then return { 'none' } end
  call('HDEL', meta, 'session:' .. other)
  for _, id in ipairs(call('ZRANGE', reserved, 0, -1)) do
    local transfer = row(base .. 'transfer:' .. id)
    if transfer.owner == other then
      close(id, transfer, 'unknown', 'written_off', ARGV[8])
      note(ARGV[7], ARGV[9])
    end
  end
  open_if_ready()
  return { 'done' }
end

if verb == 'join' then return free.join() end
local now = standing()
if now == 'stale' or now == 'closed' and verbs[verb] then return { now } end
return (verbs[verb] or free[verb])()
