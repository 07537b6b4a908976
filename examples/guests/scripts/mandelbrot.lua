-- The Mandelbrot set in text, row by row: lua mandelbrot.lua [ROWS] [ITERATIONS]

local rows = tonumber(arg[1] or 40)
local iterations = tonumber(arg[2] or 2000)
local columns = 78
local shades = " .:-=+*#%@"

local total = 0
for row = 0, rows - 1 do
  local line = {}
  local ci = (row + 0.5) / rows * 2.4 - 1.2
  for column = 0, columns - 1 do
    local cr = (column + 0.5) / columns * 3.2 - 2.2
    local zr, zi, count = 0.0, 0.0, 0
    while count < iterations and zr * zr + zi * zi < 4.0 do
      zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
      count = count + 1
    end
    total = total + count
    local shade = count == iterations and #shades or count % (#shades - 1) + 1
    line[#line + 1] = shades:sub(shade, shade)
  end
  print(table.concat(line))
end
print(string.format("%d steps", total))
