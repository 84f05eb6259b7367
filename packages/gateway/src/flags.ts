import { choice, duration, type Flag, integer, listOf, text, texts, toggle, usage } from 'mproxy-base';
import { ROTATION } from 'mproxy-flow/endpoints/file/flags';
import { TLS_SERVER } from 'mproxy-net/tls-flags';

/** A file, or in a library the configuration itself. */
type Configuration = string | Readonly<Record<string, unknown>>;

const config: Flag<Configuration, Configuration | undefined, ''> = {
  name: '',
  value: 'FILE',
  help: 'read the configuration: JSON, TOML, or a module (.js, .mjs)',
  read(given, name) {
    if (given === '') throw usage(name, '', 'needs a value');
    return given;
  },
};

/** On the command line alone. */
export const CHECK = {
  check: toggle({ help: 'print the effective configuration, or every error, and end' }),
};

const ROUTING = {
  listenAddr: texts({
    value: 'ADDR',
    help: 'listen on HOST:PORT, tls://HOST:PORT, unix:PATH, or a socket of systemd: fd:NAME, fd:3; may repeat',
  }),
  route: texts({
    value: '[HOST]/PATH=URL',
    help: 'send requests below this path to http://HOST:PORT, https://HOST:PORT or unix:PATH; several take turns: URL|URL; may repeat',
  }),
  trust: texts({
    value: 'CIDR',
    help: 'believe forwarding fields of this network; unix: is for peers of Unix sockets; may repeat',
  }),
};

/** Its value may be left out: a switch, or suffixes. */
const portEncoding: Flag<boolean | string | string[], string[] | undefined, ''> = {
  name: '',
  value: 'SUFFIX...',
  optional: true,
  help: 'instead of routes: hosts like 3000.localhost name their port; default suffix localhost',
  read(given) {
    if (given === undefined || given === false) return undefined;
    return given === true ? ['localhost'] : listOf(given);
  },
};

const PORTS = {
  portEncoding,
  allowTarget: texts({
    value: 'HOST[:PORTS]',
    help: 'a target beyond loopback and the ports from 1024 on; may repeat',
  }),
  run: texts({ value: 'COMMAND', help: 'a development server, which starts and stops with it; may repeat' }),
};

const ACCESS_LOG = {
  accessLog: text({ value: 'FILE|-|udp://ADDR', help: 'write a record for each request; default none' }),
  logFormat: choice('form of records', ['json', 'combined'], {
    help: 'how records are written; default json',
  }),
  rotateSize: { ...ROTATION.rotateSize, help: 'rotate the file before a record would make it larger' },
  rotateEvery: ROTATION.rotateEvery,
  keep: { ...ROTATION.keep, help: 'keep this many rotated files; default all' },
  gzip: ROTATION.gzip,
};

const PROCESS = {
  workers: integer(1, 256, { help: 'worker threads; default one for each CPU that it may use' }),
  drain: duration({ help: 'after SIGTERM, accept for this long; default 0' }),
  grace: duration({ help: 'then give requests this long to end; default 25s' }),
};

/** Those that are options of the library, too. */
export const FLAGS = {
  Configuration: { config },
  Routing: ROUTING,
  'TLS listeners': TLS_SERVER,
  'Ports in host names': PORTS,
  'Access log': ACCESS_LOG,
  'Workers and stop': PROCESS,
};
