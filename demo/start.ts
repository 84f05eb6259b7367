import { parseArgs } from 'node:util';
import { Chain } from './chain.js';
import { chainView } from './chain-view.js';
import type { Demonstration, View } from './demonstration.js';
import { openFeed } from './feed.js';
import { GatewayDemonstration } from './gateway/gateway-demonstration.js';
import { gatewayView } from './gateway/gateway-view.js';
import { openScreen, type Screen } from './screen.js';

const HELP = `Usage: npm start -- [nats] [--path FILE|-]
       npm start -- gateway

Runs the four programs as one chain, on this machine's loopback interface alone, for about ten seconds:
a feed through mproxy-client, mproxy-forward, a multicast group and two mproxy-reverse, to TCP and TLS
readers and to the file of an mproxy-server. With nats a subject of a NATS server is in the place of the group;
this needs nats-server. Ends with 0 when every reader got exactly what was sent, else with 1.

With gateway it runs mproxy-gateway with TLS in front of two small HTTP servers instead, for as long, and sends
requests, uploads, downloads, WebSockets and event streams through all its routes. Ends with 0 when every answer
was right, else with 1.

Options:
  --path FILE|-   send this file, or stdin; default is a generated feed of AIS position reports
  -h, --help      print this help
`;

/** What is demonstrated, with what is shown before the first command. */
const TITLES = {
  group: 'The four programs as one chain, on the loopback interface alone:',
  nats: 'The four programs as one chain, on the loopback interface alone:',
  gateway: 'The gateway in front of two servers, on the loopback interface alone:',
};

interface Options {
  what: keyof typeof TITLES;
  path: string | undefined;
}

process.exit(await main());

/** @returns the exit status */
async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'number') return options;
  const screen = openScreen(process.stdout, TITLES[options.what]);
  const interrupted = interruption();
  let demonstration: Demonstration | undefined;
  try {
    const [opened, view] = await prepare(options, screen);
    demonstration = opened;
    return await Promise.race([demonstrate(opened, view, screen), interrupted]);
  } catch (error) {
    screen.end(false);
    console.error(`mproxy: ${(error as Error).message}`);
    return 1;
  } finally {
    screen.end(false);
    await demonstration?.close();
  }
}

async function prepare({ what, path }: Options, screen: Screen): Promise<[Demonstration, View]> {
  if (what === 'gateway') {
    const gateway = new GatewayDemonstration(screen);
    return [gateway, gatewayView(gateway)];
  }
  const chain = new Chain(await openFeed(path), what, (hop) => screen.hop(hop));
  return [chain, chainView(chain)];
}

async function demonstrate(demonstration: Demonstration, view: View, screen: Screen): Promise<number> {
  await demonstration.open();
  screen.show(view);
  await demonstration.run();
  screen.end(true);
  return reportResult(demonstration);
}

function reportResult(demonstration: Demonstration): number {
  const failed = [...demonstration.hops].filter(([, { failure }]) => failure);
  for (const [name, { failure, lastWords }] of failed)
    console.log(`\n  mproxy-${name} ${failure}; it said last: ${lastWords}`);
  for (const [name, { losses }] of demonstration.hops)
    for (const loss of losses) console.log(`\n  mproxy-${name} lost: ${loss}`);
  const { good, lines } = demonstration.result();
  console.log(`\n${lines.map((line) => `  ${line}\n`).join('')}`);
  return good && failed.length === 0 ? 0 : 1;
}

/** Resolves on a signal, or when the output is closed. */
function interruption(): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(1));
    for (const output of [process.stdout, process.stderr]) output.on('error', () => resolve(1));
  });
}

/** @returns an exit status, if there is nothing to run */
function readOptions(): Options | number {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { path: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    const [what = 'group', ...more] = positionals;
    if (positionals.length > 0 && ((what !== 'nats' && what !== 'gateway') || more.length > 0))
      throw new Error(`${positionals.join(' ')}: only nats or gateway is known here`);
    if (what === 'gateway' && values.path !== undefined)
      throw new Error('--path: gateway sends data of its own');
    if (!values.help) return { what: what as Options['what'], path: values.path };
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    console.error(`mproxy: ${(error as Error).message}`);
    return 2;
  }
}
