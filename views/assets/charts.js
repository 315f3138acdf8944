// Charts of the dashboard, each drawn from the table behind it. Without this there is the table.
const dark = matchMedia('(prefers-color-scheme: dark)')
const still = matchMedia('(prefers-reduced-motion: reduce)')
const narrow = matchMedia('(max-width: 42rem)')

const MOST_BARS = 12
const HOUR = 3600
const DAY = 24 * HOUR

/** A colour of the style sheets, which know the scheme and the brand. */
const tone = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** When a step begins, as short as the range allows. Whole days are of UTC. */
function stepText(time, seconds) {
  const format =
    seconds < 6 * HOUR
      ? { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
      : seconds < DAY
        ? { weekday: 'short', hour: '2-digit', hourCycle: 'h23' }
        : { day: 'numeric', month: 'short', timeZone: 'UTC' }
  return new Intl.DateTimeFormat('en-GB', format).format(time)
}

const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

function axisText(value, { unit, currency }) {
  if (unit === 'share') return `${Math.round(value * 100)} %`
  if (unit !== 'money') return compact.format(value)
  return new Intl.NumberFormat('en', { style: 'currency', currency, notation: 'compact' }).format(
    value,
  )
}

/** Long names in lines, so that bars keep their place. */
function inLines(text, most) {
  const lines = ['']
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trim()
    if (longer.length <= most || lines.at(-1) === '') lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

function readTable(table) {
  const columns = [...table.tHead.rows[0].cells].slice(1)
  const places = (as) =>
    columns.flatMap((column, place) => (column.dataset.as === as ? [place] : []))
  const rows = [...table.tBodies[0].rows].map((row) => {
    const [head, ...cells] = row.cells
    const time = head.querySelector('time')
    return { label: head.textContent, time: time && new Date(time.dateTime), cells }
  })
  return { columns, rows, drawn: places('drawn'), beside: places('beside') }
}

const numberOf = (cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value))

/** The words at the end of each bar. */
const barEnds = {
  id: 'barEnds',
  afterDatasetsDraw(chart, _, { texts, color }) {
    const { ctx } = chart
    ctx.save()
    ctx.fillStyle = color
    ctx.font = Chart.helpers.toFont(Chart.defaults.font).string
    ctx.textBaseline = 'middle'
    for (const [index, bar] of chart.getDatasetMeta(0).data.entries())
      ctx.fillText(texts[index], bar.x + 8, bar.y)
    ctx.restore()
  },
}

/** What all charts have in common. */
function common(says) {
  const grid = { color: tone('line'), drawTicks: false }
  const ticks = { color: tone('soft'), padding: 6 }
  return {
    responsive: true,
    maintainAspectRatio: false,
    animation: still.matches || says.again ? false : { duration: 350 },
    interaction: { mode: 'index', intersect: false },
    border: { display: false },
    grid,
    ticks,
    tooltip: {
      backgroundColor: tone('ink'),
      titleColor: tone('card'),
      bodyColor: tone('card'),
      padding: 10,
      cornerRadius: 8,
      boxPadding: 4,
      usePointStyle: true,
    },
  }
}

/** Over time, as bars or lines. The last step still runs, and is paler. */
function overTime({ columns, rows, drawn }, says) {
  const { ticks, grid, border, tooltip, ...options } = common(says)
  const last = rows.length - 1
  const look = (place) => {
    const [color, width, dash] = [
      ['chart-asked', 2, [5, 4]],
      ['chart-sent', 2, []],
      ['chart-delivered', 2, [2, 3]],
      ['chart-right', 2.5, []],
    ][drawn.length === 1 ? 3 : place]
    return { color: tone(color), width, dash }
  }
  return {
    type: says.draws === 'bars' ? 'bar' : 'line',
    data: {
      labels: rows.map(({ time }) => stepText(time, says.step)),
      datasets: drawn.map((place) => {
        const { color, width, dash } = look(place)
        const pale = `${color}66`
        const data = rows.map(({ cells }) => numberOf(cells[place]))
        const label = columns[place].textContent
        return says.draws === 'bars'
          ? {
              label,
              data,
              backgroundColor: data.map((_, index) => (index === last ? pale : color)),
              borderRadius: 3,
              maxBarThickness: 32,
            }
          : {
              label,
              data,
              borderColor: color,
              backgroundColor: color,
              borderWidth: width,
              borderDash: dash,
              segment: { borderColor: (at) => (at.p1DataIndex === last ? pale : undefined) },
              pointRadius: 0,
              pointHoverRadius: 4,
              tension: 0.25,
              cubicInterpolationMode: 'monotone',
            }
      }),
    },
    options: {
      ...options,
      scales: {
        x: {
          border: { color: tone('line') },
          grid: { display: false },
          ticks: { ...ticks, maxRotation: 0, autoSkipPadding: 16 },
        },
        y: {
          beginAtZero: true,
          suggestedMax: 4,
          border,
          grid,
          ticks: {
            ...ticks,
            precision: 0,
            maxTicksLimit: 6,
            callback: (value) => axisText(value, says),
          },
        },
      },
      plugins: {
        barEnds: false,
        tooltip,
        legend: {
          display: drawn.length > 1,
          position: 'bottom',
          align: 'start',
          labels: { color: tone('ink'), boxWidth: 28, boxHeight: 0, padding: 14 },
        },
      },
    },
  }
}

/** By size, a bar each with its words at the end. */
function ranked({ columns, rows, drawn: [place], beside }, says) {
  const { ticks, tooltip, ...options } = common(says)
  const shown = rows.filter(({ cells }) => numberOf(cells[place]) !== null).slice(0, MOST_BARS)
  const texts = shown.map(({ cells }) =>
    [place, ...beside].map((one) => cells[one].textContent).join(' · '),
  )
  const labels = shown.map(({ label }) => inLines(label, narrow.matches ? 20 : 32))
  const lines = Math.max(...labels.map(({ length }) => length))
  says.box.style.height = `${shown.length * Math.max(34, lines * 16 + 10) + 8}px`
  const longest = Math.max(...texts.map(({ length }) => length))
  return {
    type: 'bar',
    data: {
      labels,
      datasets: [
        {
          label: columns[place].textContent,
          data: shown.map(({ cells }) => numberOf(cells[place])),
          backgroundColor: tone(says.unit === 'count' ? 'chart-failed' : 'chart-right'),
          borderRadius: 3,
          barThickness: 16,
          minBarLength: 2,
        },
      ],
    },
    options: {
      ...options,
      indexAxis: 'y',
      layout: { padding: { right: longest * 6.6 + 12 } },
      scales: {
        x: {
          display: false,
          beginAtZero: true,
          ...(says.unit === 'share' && { max: 1 }),
        },
        y: {
          border: { color: tone('line') },
          grid: { display: false },
          ticks: { ...ticks, color: tone('ink'), autoSkip: false },
        },
      },
      plugins: {
        legend: { display: false },
        barEnds: { texts, color: tone('soft') },
        tooltip: {
          ...tooltip,
          callbacks: {
            title: ([item]) => shown[item.dataIndex].label,
            label: ({ dataIndex }) =>
              [place, ...beside].map(
                (one) => `${columns[one].textContent}: ${shown[dataIndex].cells[one].textContent}`,
              ),
          },
        },
      },
    },
  }
}

function draw(box, again) {
  const canvas = box.querySelector('canvas')
  const table = readTable(box.parentElement.querySelector('table'))
  const { draws, unit, step, currency } = box.dataset
  const says = { box, draws, unit, currency, step: Number(step), again }
  Chart.getChart(canvas)?.destroy()
  new Chart(canvas, draws === 'ranked' ? ranked(table, says) : overTime(table, says))
}

Chart.defaults.font.family = getComputedStyle(document.body).fontFamily
Chart.register(barEnds)
const boxes = [...document.querySelectorAll('.chart')]
for (const box of boxes) {
  box.hidden = false
  box.parentElement.querySelector('details').open = false
  draw(box, false)
}
const drawAll = () => {
  for (const box of boxes) draw(box, true)
}
for (const changing of [dark, narrow]) changing.addEventListener('change', drawAll)
