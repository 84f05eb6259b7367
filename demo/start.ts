import { parseArgs } from 'node:util';
import { Chain } from './chain.js';
import { openFeed } from './feed.js';
import type { MiddleName } from './middle.js';
import { openScreen, type Screen } from './screen.js';

const HELP = `Usage: npm start -- [nats] [--path FILE|-]

Runs the four programs as one chain, on this machine's loopback interface alone, for about ten seconds:
a feed through mproxy-client, mproxy-forward, a multicast group and two mproxy-reverse, to TCP and TLS
readers and to the file of an mproxy-server. With nats a subject of a NATS server is in the place of the group;
this needs nats-server. Ends with 0 when every reader got exactly what was sent, else with 1.

Options:
  --path FILE|-   send this file, or stdin; default is a generated feed of AIS position reports
  -h, --help      print this help
`;

process.exit(await main());

/** @returns the exit status */
async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === 'number') return options;
  const screen = openScreen(process.stdout);
  const interrupted = interruption();
  let chain: Chain | undefined;
  try {
    chain = new Chain(await openFeed(options.path), options.middle, (hop) => screen.hop(hop));
    return await Promise.race([demonstrate(chain, screen), interrupted]);
  } catch (error) {
    screen.end(false);
    console.error(`mproxy: ${(error as Error).message}`);
    return 1;
  } finally {
    screen.end(false);
    await chain?.close();
  }
}

async function demonstrate(chain: Chain, screen: Screen): Promise<number> {
  await chain.open();
  screen.show(chain);
  await chain.run();
  screen.end(true);
  return reportResult(chain);
}

function reportResult({ sent, readers, hops }: Chain): number {
  const failed = [...hops].filter(([, { failure }]) => failure);
  for (const [name, { failure, lastWords }] of failed)
    console.log(`\n  mproxy-${name} ${failure}; it said last: ${lastWords}`);
  for (const [name, { losses }] of hops)
    for (const loss of losses) console.log(`\n  mproxy-${name} lost: ${loss}`);
  const wrong = readers.filter(({ tally }) => tally.difference(sent));
  const good = wrong.length + failed.length === 0;
  const who = good
    ? `All ${readers.length} readers got`
    : `${wrong.length} of ${readers.length} readers did not get`;
  console.log(`\n  ${who} the ${sent.bytes.toLocaleString('en')} bytes that were sent, byte for byte.`);
  console.log(`  SHA-256 of what was sent: ${sent.digest.slice(0, 32)}...\n`);
  return good ? 0 : 1;
}

/** Resolves on a signal, or when the output is closed. */
function interruption(): Promise<number> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(1));
    for (const output of [process.stdout, process.stderr]) output.on('error', () => resolve(1));
  });
}

/** @returns an exit status, if there is nothing to run */
function readOptions(): { path: string | undefined; middle: MiddleName } | number {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { path: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
    const [middle = 'group', ...more] = positionals;
    if (positionals.length > 0 && (middle !== 'nats' || more.length > 0))
      throw new Error(`${positionals.join(' ')}: only nats is known here`);
    if (!values.help) return { path: values.path, middle: middle as MiddleName };
    process.stdout.write(HELP);
    return 0;
  } catch (error) {
    console.error(`mproxy: ${(error as Error).message}`);
    return 2;
  }
}
