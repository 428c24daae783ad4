// The course of a soak as a picture: one panel for each thing that must not grow.

import type { Machine } from '../../bench/harness/machine.js'
import type { Sample } from './observe.js'

type Series = readonly [name: string, value: (sample: Sample) => number]

const PANELS: readonly (readonly [title: string, series: readonly Series[]])[] = [
  ['descriptors', [['descriptors', (sample) => sample.descriptors]]],
  ['mappings', [['mappings', (sample) => sample.mappings]]],
  [
    'threads',
    [
      ['all', (sample) => sample.threads],
      ['iou-wrk', (sample) => sample.iouWrk],
      ['iou-sqp', (sample) => sample.iouSqp],
    ],
  ],
  [
    'memory, MiB',
    [
      ['heap', (sample) => sample.heapMiB],
      ['RSS', (sample) => sample.rssMiB],
    ],
  ],
]

const WIDTH = 960
const PANEL_HEIGHT = 170
const TITLE_HEIGHT = 70

/** @returns The SVG document. Quiet points are marked. */
export async function drawCourse(
  machine: Machine,
  title: string,
  samples: readonly Sample[],
): Promise<string> {
  const { init } = await import('echarts')
  const height = TITLE_HEIGHT + PANELS.length * PANEL_HEIGHT
  const titles: object[] = [
    { text: title, left: 24, top: 14, textStyle: { fontSize: 18 } },
    {
      text: `Linux ${machine.kernel} ${machine.arch}, ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; dots: nothing going on`,
      left: 24,
      top: 40,
      textStyle: { fontSize: 12, fontWeight: 'normal', color: '#555' },
    },
  ]
  const grids: object[] = []
  const xAxes: object[] = []
  const yAxes: object[] = []
  const series: object[] = []
  const colors = ['#d9480f', '#1c7ed6', '#74b816']
  for (const [index, [name, lines]] of PANELS.entries()) {
    const top = TITLE_HEIGHT + index * PANEL_HEIGHT
    titles.push({ text: name, left: 24, top, textStyle: { fontSize: 13 } })
    grids.push({ left: 60, right: 110, top: top + 26, height: PANEL_HEIGHT - 70 })
    xAxes.push({ type: 'value', gridIndex: index, min: 0, name: 's', axisLabel: { fontSize: 11 } })
    yAxes.push({ type: 'value', gridIndex: index, axisLabel: { fontSize: 11 } })
    for (const [at, [label, value]] of lines.entries()) {
      const common = { xAxisIndex: index, yAxisIndex: index, itemStyle: { color: colors[at] } }
      series.push({
        ...common,
        type: 'line',
        showSymbol: false,
        lineStyle: { width: 1, color: colors[at] },
        endLabel: { show: true, formatter: label, color: colors[at] },
        data: samples.map((sample) => [sample.at, value(sample)]),
      })
      series.push({
        ...common,
        type: 'scatter',
        symbolSize: 5,
        data: samples.filter(({ quiet }) => quiet).map((sample) => [sample.at, value(sample)]),
      })
    }
  }
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      title: titles,
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
