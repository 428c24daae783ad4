// The bench's output as a picture: one panel of bars for each suite, drawn by echarts without a browser.

import type { Machine } from './machine.js'
import type { Row } from './measurement.js'
import type { Suite } from './suite.js'
import { formatNumber } from './table.js'

/** One suite with what it measured. */
export interface Panel {
  readonly suite: Suite
  readonly rows: readonly Row[]
}

const WIDTH = 960
const MARGIN = 24
const LABEL_WIDTH = 245
const TITLE_HEIGHT = 70
/** Room above a panel's bars for its title and legend, and below them for the axis. */
const PANEL_HEAD = 64
const PANEL_FOOT = 44
const BAR_HEIGHT = 13
const CASE_GAP = 12

const URING_COLOR = '#d9480f'
/** Colours that stay apart for colour-blind eyes; uring has its own, the others come in order of appearance. */
const COLORS = [
  '#1c7ed6',
  '#74b816',
  '#7048e8',
  '#868e96',
  '#f2b705',
  '#0ca678',
  '#a61e4d',
  '#495057',
  '#3bc9db',
  '#e599f7',
  '#5c3c10',
]

function unique(values: readonly string[]): string[] {
  return [...new Set(values)]
}

/** Draws all panels below each other. @returns The SVG document. */
export async function drawChart(machine: Machine, panels: readonly Panel[]): Promise<string> {
  // Loaded here: most runs draw nothing, and the library takes longer to load than a quick run.
  const { init } = await import('echarts')
  const contenders = unique(panels.flatMap(({ rows }) => rows.map((row) => row.contender)))
  const others = contenders.filter((contender) => contender !== 'uring')
  const colorOf = (contender: string): string =>
    contender === 'uring' ? URING_COLOR : COLORS[others.indexOf(contender) % COLORS.length]!

  const titles: object[] = [
    { text: 'uring benchmarks', left: MARGIN, top: 14, textStyle: { fontSize: 18 } },
    {
      text: `Linux ${machine.kernel} ${machine.arch}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`,
      left: MARGIN,
      top: 40,
      textStyle: { fontSize: 12, fontWeight: 'normal', color: '#555' },
    },
  ]
  const legends: object[] = []
  const grids: object[] = []
  const xAxes: object[] = []
  const yAxes: object[] = []
  const series: object[] = []
  let top = TITLE_HEIGHT

  for (const [index, { suite, rows }] of panels.entries()) {
    const cases = unique(rows.map((row) => row.case))
    const names = unique(rows.map((row) => row.contender))
    const height = cases.length * (names.length * BAR_HEIGHT + CASE_GAP)
    titles.push({
      text: `${suite.name}: ${suite.title}`,
      left: MARGIN,
      top,
      textStyle: { fontSize: 14 },
    })
    legends.push({
      // A legend entry is found by the name of its series, and names repeat from panel to panel.
      data: names.map((name) => `${suite.name}/${name}`),
      formatter: (name: string) => name.slice(suite.name.length + 1),
      left: MARGIN,
      top: top + 24,
      itemWidth: 12,
      itemHeight: 10,
      itemGap: 14,
    })
    grids.push({ left: LABEL_WIDTH, right: 80, top: top + PANEL_HEAD, height })
    xAxes.push({
      type: 'value',
      gridIndex: index,
      name: suite.bar.title,
      nameLocation: 'middle',
      nameGap: 24,
      axisLabel: { fontSize: 11 },
    })
    yAxes.push({ type: 'category', gridIndex: index, data: cases, inverse: true, axisTick: { show: false } })
    for (const name of names) {
      series.push({
        type: 'bar',
        name: `${suite.name}/${name}`,
        xAxisIndex: index,
        yAxisIndex: index,
        barCategoryGap: CASE_GAP,
        barGap: '10%',
        itemStyle: { color: colorOf(name) },
        label: {
          show: true,
          position: 'right',
          fontSize: 10,
          formatter: ({ value }: { value: number | null }) => formatNumber(value, suite.bar.decimals),
        },
        data: cases.map((caseName) => {
          const row = rows.find((candidate) => candidate.case === caseName && candidate.contender === name)
          return row === undefined ? null : suite.bar.value(row)
        }),
      })
    }
    top += PANEL_HEAD + height + PANEL_FOOT
  }

  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: top })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: titles,
      legend: legends,
      grid: grids,
      xAxis: xAxes,
      yAxis: yAxes,
      series,
    })
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}
