import t from 'tap';

// The demo is a project of its own: the tests meet what it was compiled to.
const demo = new URL('../../demo/gateway/', import.meta.url);
const { gatewayView } = await import(new URL('gateway-view.js', demo).href);
const { PURPOSES, ROUTES } = await import(new URL('routes.js', demo).href);

const same = (text: string) => text;
const paint = { bold: same, dim: same, good: same, bad: same, flow: same };

t.test('a picture with large figures fits the terminal', async (t) => {
  const tally = { right: 123_456, wrong: 12_345, bytes: 123.4e9, mean: 1234.5 };
  const own = {
    requests: () => 123_456,
    ...{ full: 123_456, resumed: 123_456, failed: 0, connections: 123, tunnels: 12 },
  };
  const view = gatewayView({ own, tallies: new Map(Object.keys(ROUTES).map((route) => [route, tally])) });
  for (const columns of [72, 99, 100, 200]) {
    const lines: string[] = view.draw({ paint, columns, seconds: 10, finished: true });
    // It is indented by two, and what erases the rest of a line would erase the last column.
    for (const line of lines) t.ok(line.length <= columns - 3, `${columns}: ${line}`);
    for (const route of Object.keys(ROUTES))
      t.equal(lines.join('\n').includes(PURPOSES[route]), columns >= 99, `${columns}: ${PURPOSES[route]}`);
  }
});
