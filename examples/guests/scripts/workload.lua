-- A mixed workload: lua workload.lua [ROUNDS | FILE]
-- So many rounds, or until there is a file of that name.
-- Each round works with tables, strings, closures, coroutines and metatables, checks its own
-- results, and prints one line that depends on everything computed so far.

local rounds = tonumber(arg[1] or 50)
local enough = rounds == nil and arg[1]

local function is_enough(round)
  if rounds then return round > rounds end
  local file = io.open(enough)
  if file then file:close() end
  return file ~= nil
end

local digest = 0x5bd1e995

local function mix(text)
  for index = 1, #text do
    digest = ((digest ~ text:byte(index)) * 0x01000193) & 0xffffffff
  end
end

-- A small random number generator, so that the sequence belongs to this script.
local function generator(seed)
  local state = seed
  return function(limit)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % limit + 1
  end
end

-- A serializer and a recursive-descent parser for nested tables.
local function serialize(value)
  if type(value) == "table" then
    local keys, parts = {}, {}
    for key in pairs(value) do keys[#keys + 1] = key end
    table.sort(keys)
    for _, key in ipairs(keys) do
      parts[#parts + 1] = key .. "=" .. serialize(value[key])
    end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  return tostring(value)
end

local function parse(text, position)
  position = position or 1
  if text:sub(position, position) ~= "{" then
    local token, next_position = text:match("^([^,{}]+)()", position)
    return tonumber(token) or token, next_position
  end
  local result = {}
  position = position + 1
  while text:sub(position, position) ~= "}" do
    local key, after_key = text:match("^([%w_]+)=()", position)
    result[key], position = parse(text, after_key)
    if text:sub(position, position) == "," then position = position + 1 end
  end
  return result, position + 1
end

local function random_tree(random, depth)
  if depth == 0 then
    return random(2) == 1 and random(1000) or "leaf_" .. random(100)
  end
  local tree = {}
  for _ = 1, 2 + random(3) do
    tree["k" .. random(500)] = random_tree(random, depth - 1)
  end
  return tree
end

local function round_trip(random)
  local text = serialize(random_tree(random, 4))
  assert(serialize((parse(text))) == text, "the parsed tree differs")
  mix(text)
  return #text
end

-- All solutions of the queens problem, one at a time out of a recursive coroutine.
local function queens(size)
  return coroutine.wrap(function()
    local rows, rising, falling, board = {}, {}, {}, {}
    local function place(column)
      if column > size then
        coroutine.yield(board)
        return
      end
      for row = 1, size do
        local up, down = column + row, column - row + size
        if not (rows[row] or rising[up] or falling[down]) then
          rows[row], rising[up], falling[down], board[column] = true, true, true, row
          place(column + 1)
          rows[row], rising[up], falling[down] = nil, nil, nil
        end
      end
    end
    place(1)
  end)
end

local function count_queens(size)
  local solutions = 0
  for board in queens(size) do
    solutions = solutions + 1
    mix(table.concat(board))
  end
  return solutions
end

-- Words made up, counted, sorted by frequency.
local function count_words(random)
  local syllables = { "ka", "lo", "mi", "ter", "un", "sel", "or", "vi" }
  local text = {}
  for index = 1, 6000 do
    local word = {}
    for part = 1, random(3) do word[part] = syllables[random(#syllables)] end
    text[index] = table.concat(word)
  end
  local counts, words = {}, {}
  for word in table.concat(text, " "):gmatch("%a+") do
    if not counts[word] then words[#words + 1] = word end
    counts[word] = (counts[word] or 0) + 1
  end
  table.sort(words, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  local first = words[1]
  mix(first:upper():gsub("[AEIOU]", "*"):rep(2) .. string.format("%05d", counts[first]))
  return #words
end

-- Closures that share a table through a metatable, called in a pipeline.
local Vector = {}
Vector.__index = Vector
Vector.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Vector) end
Vector.__eq = function(a, b) return a.x == b.x and a.y == b.y end
function Vector:length() return math.sqrt(self.x * self.x + self.y * self.y) end

local function walk(random)
  local steps = {}
  for index = 1, 4 do
    local dx, dy = random(5) - 3, random(5) - 3
    steps[index] = function(from) return from + setmetatable({ x = dx, y = dy }, Vector) end
  end
  local place = setmetatable({ x = 0, y = 0 }, Vector)
  for _ = 1, 20000 do place = steps[random(4)](place) end
  mix(string.format("%.6f", place:length()))
  return math.floor(place:length())
end

-- A table that lives through the whole run and is changed in every round.
local ledger = {}

local function post(random)
  for _ = 1, 500 do
    local from, to, amount = random(200), random(200), random(50)
    ledger[from] = (ledger[from] or 0) - amount
    ledger[to] = (ledger[to] or 0) + amount
  end
  local sum = 0
  for _, balance in pairs(ledger) do sum = sum + balance end
  assert(sum == 0, "the ledger does not balance")
end

local random = generator(2026)
local total = rounds and " of " .. rounds or ""
local round = 1
while not is_enough(round) do
  post(random)
  local bytes = round_trip(random)
  local solutions = count_queens(7 + round % 2)
  local words = count_words(random)
  local distance = walk(random)
  print(string.format("round %3d%s: tree %5d bytes, %3d boards, %3d words, walked %5d, digest %08x",
    round, total, bytes, solutions, words, distance, digest))
  round = round + 1
end
print("lua: all checks passed")
