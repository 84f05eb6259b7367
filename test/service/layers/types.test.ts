import { AccessLog } from 'mproxy-service/layers/access-log';
import { loadLayer } from 'mproxy-service/layers/load';
import { LAYERS } from 'mproxy-service/layers/types';
import t from 'tap';
import { echo } from '../calls.js';
import { layerOf } from './tables.js';

t.test('each layer has a type of its own, and a help for itself and all of its keys', (t) => {
  t.strictSame(
    [...LAYERS.values()].map(({ type }) => type),
    [...LAYERS.keys()],
  );
  for (const { type, help, keys } of LAYERS.values()) {
    t.match(type, /^[a-z]+(_[a-z]+)*$/);
    t.match(help, /^[A-Z].*\.$/, type);
    for (const [name, key] of Object.entries(keys)) t.ok(key.help.length > 5, `${type}.${name}`);
  }
  t.end();
});

t.test('each layer can be loaded alone, by its type', async (t) => {
  for (const [type, layer] of LAYERS) t.equal(await loadLayer(type), layer, type);
  for (const type of ['cors', 'constructor'])
    await t.rejects(loadLayer(type), { name: 'RangeError', message: `${type}: there is no such layer` });
});

t.test('a layer around a service is ready when that one is', (t) => {
  const layers = {
    headers: layerOf(LAYERS.get('headers')!, {}),
    rewrite: layerOf(LAYERS.get('rewrite')!, { strip_prefix: '/a', regex: '^/b', to: '/c' }),
    redirect: layerOf(LAYERS.get('redirect')!, { to: '/', regex: '^/a' }),
    ip_allow: layerOf(LAYERS.get('ip_allow')!, { allow: ['unix:'] }),
    request_id: layerOf(LAYERS.get('request_id')!, {}),
    access_log: new AccessLog({ sink: { write: () => undefined } }).layer,
  };
  for (const [name, layer] of Object.entries(layers)) {
    const inner = { ...echo, ready: true };
    const outer = layer(inner);
    t.equal(outer.ready, true, name);
    inner.ready = false;
    t.equal(outer.ready, false, name);
    t.equal(layer(echo).ready, true, name);
  }
  t.end();
});
