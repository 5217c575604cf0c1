-- Deciding an order: every rule, in the order in which the first that speaks against it is told.

local function order_of_arguments()
  local order = {
    id = ARGV[6], asker = ARGV[7], contract = ARGV[8], login = ARGV[9], route = ARGV[10],
    stated = ARGV[11], entry = ARGV[12], repeated = ARGV[13], at = tonumber(ARGV[14]), at_text = ARGV[15],
    day = tonumber(ARGV[16]), token = ARGV[17], most_of_login = tonumber(ARGV[18]), most_of_contract = tonumber(ARGV[19]),
    per_login = tonumber(ARGV[20]), over_limit = ARGV[21], tolerance = tonumber(ARGV[22]), mode = ARGV[23],
    members = {}, debits = {}, names = {},
  }
  local at = 25
  for _ = 1, tonumber(ARGV[24]) do
    order.members[#order.members + 1] = ARGV[at]
    at = at + 1
  end
  while ARGV[at] do
    order.debits[#order.debits + 1] = { basis = ARGV[at], day = ARGV[at + 1], ceiling = tonumber(ARGV[at + 2]) }
    order.names[#order.names + 1] = ARGV[at] .. ':' .. ARGV[at + 1]
    at = at + 3
  end
  return order
end

-- The answer to an order whose ID is on record: it is granted again only while nobody has settled it.
local function known(order)
  local transfer = row(base .. 'transfer:' .. order.id)
  if not transfer then return nil end
  local same_amount = order.entry == '' and order.stated == transfer.amount or order.entry ~= '' and order.entry == transfer.entry
  local same = same_amount and transfer.login == order.login and transfer.contract == order.contract
    and transfer.debits == table.concat(order.names, ' ')
  if transfer.state ~= 'reserved' or not same then return { 'denied', 'duplicate' } end
  if transfer.asker ~= order.asker then call('HSET', base .. 'transfer:' .. order.id, 'asker', '') end
  return { 'granted', transfer.amount }
end

-- What an order moves; nil where nothing is known, and nothing is not an amount.
local function amount_of(order)
  local amount = tonumber(order.stated)
  if order.entry ~= '' then
    local lines = entered(order.entry, order.at)
    if not lines then return nil end
    -- What is only observed leaves all the same, with what it says more.
    if order.mode == 'observe' then join_lines(lines, lines_out_of(order.repeated)) end
    amount = total(lines)
  end
  return amount > 0 and amount or nil
end

-- What the order says once more would make the form hold more than was entered.
local function says_more(order)
  local lines = entered(order.entry, order.at)
  local amount = total(lines)
  join_lines(lines, lines_out_of(order.repeated))
  return total(lines) > amount
end

-- The clock lies behind what is recorded by more than it may, or on an earlier day. An order that counts on the later
-- day as well opens nothing again.
local function clock_behind(order)
  local latest = call('HMGET', meta, 'latest', 'latest-day')
  if not latest[1] then return nil end
  local counts_today = false
  for _, debit in ipairs(order.debits) do
    if debit.basis == 'accepted' and tonumber(debit.day) >= tonumber(latest[2]) then counts_today = true end
  end
  local reopens = order.day < tonumber(latest[2]) and not counts_today
  if tonumber(latest[1]) - order.at > order.tolerance or reopens then return { 'clock', latest[1] } end
end

-- Some sum would be above its limit, which is inclusive: the contract's on each day, then the login ID's own.
local function over_limit(order, amount)
  local own = tonumber(own_limit_of(order.contract))
  if own and order.over_limit == 'block' then
    for _, debit in ipairs(order.debits) do
      if own > debit.ceiling then return { 'above_ceiling', digits(own), digits(debit.ceiling) } end
    end
  end
  for _, debit in ipairs(order.debits) do
    local limit = own and math.min(own, debit.ceiling) or debit.ceiling
    local used, asking = 0, true
    for _, login in ipairs(order.members) do
      used = math.min(used + sum_of(debit.basis, debit.day, login), MOST)
      if login == order.login then asking = false end
    end
    -- The asking one counts, also where the list of members forgot it.
    if asking then used = math.min(used + sum_of(debit.basis, debit.day, order.login), MOST) end
    if used + amount > limit then return { 'over_limit', 'contract', debit.day, digits(limit), digits(used) } end
  end
  for _, debit in ipairs(order.per_login and order.debits or {}) do
    local used = sum_of(debit.basis, debit.day, order.login)
    if used + amount > order.per_login then
      return { 'over_limit', 'login_id', debit.day, digits(order.per_login), digits(used) }
    end
  end
end

local function denial(order, amount)
  local behind = clock_behind(order)
  if behind then return behind end
  local function holding(field)
    return tonumber(call('HGET', held, field) or '0')
  end
  if order.token ~= '' and holding('token:' .. order.token .. ':' .. order.contract) > 0 then return { 'duplicate' } end
  if holding('login:' .. order.login) >= order.most_of_login
    or holding('contract:' .. order.contract) >= order.most_of_contract then
    return { 'too_many' }
  end
  if not amount then return { 'no_entry' } end
  if order.entry ~= '' and holding('entry:' .. order.entry) > 0 then return { 'in_use' } end
  if order.entry ~= '' and says_more(order) then return { 'more_than_entered' } end
  return over_limit(order, amount)
end

function verbs.reserve()
  local order = order_of_arguments()
  local answer = known(order)
  if answer then return answer end
  local amount = amount_of(order)
  local denied = denial(order, amount)
  if denied and order.mode == 'enforce' then return { 'denied', unpack(denied) } end
  if not amount then return { 'granted', '0', unpack(denied or {}) } end
  for _, debit in ipairs(order.debits) do
    if sum_of(debit.basis, debit.day, order.login) + amount > MOST then return { 'uncountable' } end
  end
  note(digits(order.at), digits(order.day))
  record(order.id, {
    contract = order.contract, login = order.login, route = order.route, amount = digits(amount),
    debits = table.concat(order.names, ' '), state = 'reserved', why = '', day = digits(order.day),
    ['reserved-at'] = order.at_text, ['settled-at'] = '', entry = order.entry, token = order.token,
    owner = member, asker = order.asker,
  })
  return { 'granted', digits(amount), unpack(denied or {}) }
end

function verbs.learn()
  call('HSET', base .. 'own', ARGV[6], ARGV[8] .. ' ' .. ARGV[7])
  return { 'done' }
end
