import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const packages = fileURLToPath(new URL('../../../packages/', import.meta.url));

/** What a gateway loads when its configuration or a request needs it. */
const LATER = [
  ...['flow/src/endpoints/file/sink', 'flow/src/index', 'framing/src/index', 'net/src/index', 'net/src/tls'],
  ...['net/src/linux/receiver', 'net/src/linux/sender', 'net/src/linux/tls/openssl', 'net/src/node/sender'],
  ...['net/src/node/connection', 'net/src/resolver/resolver', 'service/src/index', 'status/src/index'],
  ...['gateway/src/access-log/access-log', 'gateway/src/config/toml', 'gateway/src/dev-servers'],
];
/** What a worker loads likewise. */
const LATER_IN_WORKER = [
  ...['gateway/src/port-router', 'service/src/client-limit', 'service/src/config-table'],
  ...['service/src/layers/access-log', 'service/src/layers/static', 'service/src/proxy-protocol'],
];

// Each file that is loaded costs some 0.3 ms of the start, in the main thread and again in each worker.
t.test('a gateway starts without the modules that it may need later', (t) => {
  const main = loadedBy('cli', 'first-thread', 'index', 'options', 'gateway');
  t.strictSame(main.filter(isOneOf(LATER)), []);
  const worker = loadedBy('worker');
  t.strictSame(worker.filter(isOneOf([...LATER, ...LATER_IN_WORKER])), []);
  t.ok(main.includes('net/src/linux/engine.ts') && worker.includes('service/src/http/server.ts'));
  t.end();
});

t.test('what is loaded later has not moved', (t) => {
  for (const file of [...LATER, ...LATER_IN_WORKER])
    t.doesNotThrow(() => readFileSync(join(packages, `${file}.ts`)), file);
  t.end();
});

function isOneOf(files: readonly string[]) {
  return (file: string) => files.includes(file.replace(/\.ts$/, ''));
}

/** The files that these of the gateway import, and those that they import, without types and `import()`. */
function loadedBy(...names: string[]): string[] {
  const all = new Set(names.map((name) => join(packages, 'gateway/src', `${name}.ts`)));
  for (const file of all)
    for (const [, target] of readFileSync(file, 'utf8').matchAll(
      /^(?:import|export) (?!type\b)(?:[^;']*? from )?'(.+?)';/gm,
    )) {
      const path = pathOf(file, target!);
      if (path !== undefined) all.add(path);
    }
  return [...all].map((file) => relative(packages, file));
}

/** @returns undefined: it is none of ours */
function pathOf(from: string, target: string): string | undefined {
  if (target.startsWith('.')) return join(dirname(from), target.replace(/\.js$/, '.ts'));
  const [, name, file = 'index'] = /^mproxy-(\w+)(?:\/(.+))?$/.exec(target) ?? [];
  return name === undefined ? undefined : join(packages, name, 'src', `${file}.ts`);
}
