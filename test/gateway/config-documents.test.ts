// biome-ignore-all lint/suspicious/noTemplateCurlyInString: documents have them
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readDocument } from 'mproxy-gateway/config/document';
import { parseJson } from 'mproxy-gateway/config/json';
import { readConfig } from 'mproxy-gateway/config/read';
import type { GatewayConfig } from 'mproxy-gateway/config/types';
import t from 'tap';
import { shortFolder } from '../support/short-folder.js';

const folder = shortFolder(t);

/** The path of a file in a folder of the test. */
function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function read(name: string, text: string, environment: NodeJS.ProcessEnv = {}): Promise<GatewayConfig> {
  return readConfig(await readDocument('--config', file(name, text)), [], environment);
}

t.test('JSON: values are those of JSON.parse', async (t) => {
  const texts = [
    '{}',
    ' [ ] ',
    '{"a":[1,-2.5e3,0,true,false,null,"x\\u00e9\\n\\"/"],"b":{"c":""}}',
    '"\\ud83d\\ude00é"',
    '\r\n\t[\n1\n,\n2]\n',
    '{"__proto__":{"a":1},"constructor":2}',
  ];
  for (const text of texts) {
    const value = parseJson(text);
    t.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)), text);
  }
  t.equal(parseJson('\ufeff1'), 1, 'a byte order mark is ignored');
  t.strictSame(Object.keys(parseJson('{"__proto__":1}') as object), ['__proto__']);
});

t.test('JSON: the line and column of what is wrong', async (t) => {
  const cases: [text: string, at: string, why: string][] = [
    ['', '1:1', 'expected a value, not the end of the document'],
    ['{\n  "a": 1,\n}', '3:1', 'expected a name in quotes, not "}"'],
    ['{\n  "a" 1\n}', '2:7', 'expected a colon, not "1"'],
    ['{"a": 1 "b": 2}', '1:9', 'expected a comma or }, not "\\""'],
    ['[1,\n 2,]', '2:4', 'expected a value, not "]"'],
    ['[1 2]', '1:4', 'expected a comma or ], not "2"'],
    ['{a: 1}', '1:2', 'expected a name in quotes, or }, not "a"'],
    ["{'a': 1}", '1:2', 'expected a name in quotes, or }, not "\'"'],
    ['{"é😀": nope}', '1:8', 'expected a value, not "nope"'],
    ['{"a": 1} x', '1:10', 'expected the end of the document, not "x"'],
    ['{"a": 1, // x\n"b": 2}', '1:10', 'expected a name in quotes, not "/"'],
    ['{"a": 01}', '1:8', 'expected a comma or }, not "1"'],
    ['{"a": "x\n"}', '1:7', 'a string without its end on the line, or with an invalid escape'],
    ['{"a": "\\x"}', '1:7', 'a string without its end on the line, or with an invalid escape'],
    ['{"a": "x', '1:7', 'a string without its end on the line, or with an invalid escape'],
    ['{"a": 1,\n "b": 2,\n "a": 3}', '3:2', 'the name "a" is there twice'],
    ['['.repeat(200), '1:102', 'more than 100 levels'],
  ];
  for (const [text, at, why] of cases)
    await t.rejects(read('a.json', text), { code: 'MPROXY_USAGE', message: `a.json:${at}: ${why}` }, text);
});

t.test('TOML: the line and column of what is wrong', async (t) => {
  const cases: [text: string, message: string][] = [
    ['port = 8000\nport = 1\n', 'a.toml:2:1: trying to redefine an already defined table or value'],
    ['[limits]\nmax_body = \n', 'a.toml:2:12: invalid value'],
    ['[[routes]\npath = "/"', 'a.toml:1:'],
  ];
  for (const [text, message] of cases) {
    const error = await read('a.toml', text).catch((error) => error);
    t.equal(error.code, 'MPROXY_USAGE');
    t.ok(error.message.startsWith(message), error.message);
    t.notMatch(error.message, '\n', 'in one line');
  }
});

const JSON_TEXT = `{
  "listen": ["127.0.0.1:8000", { "address": "unix:web.sock", "proxy_protocol": true }],
  "trusted_proxies": ["unix:"],
  "limits": { "max_body": "8MiB" },
  "routes": [
    { "path": "/", "upstreams": ["http://a:1", "unix:up.sock"], "timeouts": { "connect": "500ms" } },
    { "host": "*.a.test", "path": "/x", "methods": ["GET"], "respond": { "status": 404, "body": "none" } }
  ],
  "middlewares": [{ "type": "headers", "config": { "request": { "remove": ["x-a"] } } }]
}`;
const TOML_TEXT = `
listen = ["127.0.0.1:8000", { address = "unix:web.sock", proxy_protocol = true }]
trusted_proxies = ["unix:"]
limits.max_body = "8MiB"

[[routes]]
path = "/"
upstreams = ["http://a:1", "unix:up.sock"]
timeouts = { connect = "500ms" }

[[routes]]
host = "*.a.test"
path = "/x"
methods = ["GET"]
[routes.respond]
status = 404
body = "none"

[[middlewares]]
type = "headers"
config.request.remove = ["x-a"]
`;

t.test('JSON, TOML and a module with the same keys are the same configuration', async (t) => {
  const config = await read('same.json', JSON_TEXT);
  t.strictSame(await read('same.toml', TOML_TEXT), config);
  t.strictSame(await read('same.mjs', `export default ${JSON_TEXT}`), config);
  t.equal(config.limits.maxBody, 8 * 2 ** 20);
  t.strictSame(config.listen[1]!.at, { kind: 'unix', path: join(folder, 'web.sock') }, 'beside the document');
  t.match(config.routes[0]!.target, { upstreams: ['http://a:1', `unix:${folder}/up.sock`] });
});

t.test('TOML: places are named as in JSON', async (t) => {
  const text = '[[routes]]\npath = "/"\nupstreams = ["x"]\n[[middlewares]]\ntype = 1979-05-27\n';
  await t.rejects(read('places.toml', text), {
    message:
      /^places\.toml: routes\[0\]\.upstreams\[0\]: "x": .*\nplaces\.toml: middlewares\[0\]\.type: "1979-05-27/,
  });
});

t.test('a file that is no configuration', async (t) => {
  const cases: [name: string, text: string, why: string][] = [
    ['a.yaml', '', 'not a configuration by its name; use .json, .toml, .js or .mjs'],
    ['none.mjs', 'export const a = 1', 'it has no default export; export default { ... }'],
    [
      'text.mjs',
      'export default 1',
      'its default export is neither a configuration object nor a service; export default { ... }',
    ],
    [
      'rest.mjs',
      'export default { call() {} }; export const config = 5',
      'its export config is no configuration object',
    ],
    ['throws.mjs', 'throw new Error("no\\nway")', 'it cannot be loaded: Error: no way'],
    ['syntax.mjs', 'export default {', "it cannot be loaded: SyntaxError: Unexpected token '}'"],
  ];
  for (const [name, text, why] of cases) {
    const path = file(name, text);
    const message = `--config: ${path}: ${why}`;
    if (name === 'syntax.mjs')
      await t.rejects(readDocument('--config', path), { message: /cannot be loaded: Syntax/ });
    else await t.rejects(readDocument('--config', path), { code: 'MPROXY_USAGE', message }, name);
  }
  for (const name of ['missing.json', 'missing.mjs'])
    await t.rejects(readDocument('--config', `${folder}/${name}`), {
      code: 'MPROXY_USAGE',
      message: `--config: ${folder}/${name}: no such file or directory`,
    });
});

t.test('${NAME} is what the environment has', async (t) => {
  const route =
    '"routes": [{ "path": "/", "upstream": "http://${HOST}:${PORT}", "retries": "${N}", "forwarded": "${YES}" }]';
  const text = `{ "port": "$\{PORT}", "drain": "$\{TIME}", "thread_count": 2, ${route} }`;
  const environment = { HOST: 'a.test', PORT: '81', N: '3', YES: 'true', TIME: '2s' };
  const config = await read('env.json', text, environment);
  t.strictSame(config.listen[0]!.at, { kind: 'tcp', host: '0.0.0.0', port: 81 });
  t.match(config, {
    drain: 2000,
    routes: [{ target: { upstreams: ['http://a.test:81'], retries: 3, forwarded: true } }],
  });
  await t.rejects(read('env.json', text, { HOST: 'a.test', N: '3' }), {
    message: ['port: ${PORT}: the environment has no PORT', 'drain: ${TIME}: the environment has no TIME']
      .concat([
        'routes[0].upstream: ${PORT}: the environment has no PORT',
        'routes[0].forwarded: ${YES}: the environment has no YES',
      ])
      .map((line) => `env.json: ${line}`)
      .join('\n'),
  });
  await t.rejects(read('env.json', text, { ...environment, N: 'x' }), {
    message: 'env.json: routes[0].retries: "x": expected an integer from 0 to 10',
  });
});

t.test('${ written twice with $ is itself', async (t) => {
  const text = '{ "port": 1, "routes": [{ "path": "/", "respond": { "body": "a $${B} $C $" } }] }';
  t.match(await read('escaped.json', text), { routes: [{ target: { config: { body: 'a ${B} $C $' } } }] });
});

t.test('a module reads the environment itself', async (t) => {
  const text = 'export default { port: 1, routes: [{ path: "/", respond: { body: "${B}" } }] }';
  t.match(await read('own.mjs', text), { routes: [{ target: { config: { body: '${B}' } } }] });
});

t.test('KEY_file is a file with the value, beside the document', async (t) => {
  file('body.txt', 'from a file\n');
  const text = (keys: string) => `{ "port": 1, "routes": [{ "path": "/", "respond": { ${keys} } }] }`;
  t.match(await read('files.json', text('"body_file": "body.txt"')), {
    routes: [{ target: { config: { body: 'from a file' } } }],
  });
  const cases: [keys: string, why: string][] = [
    ['"body_file": "gone.txt"', '"gone.txt": no such file or directory; expected a file that can be read'],
    ['"body_file": 5', '5: expected a path'],
    ['"body_file": "body.txt", "body": "x"', 'body is given, too; give one of the two'],
  ];
  for (const [keys, why] of cases)
    await t.rejects(read('files.json', text(keys)), {
      message: `files.json: routes[0].respond.body_file: ${why}`,
    });
});
