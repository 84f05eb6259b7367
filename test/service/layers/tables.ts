import { object } from 'mproxy-service/config-keys';
import { Place } from 'mproxy-service/config-place';
import type { HttpLayer } from 'mproxy-service/http/message';
import type { LayerType } from 'mproxy-service/layers/layer-type';

/** Reads a configuration by the table of a layer. @returns what is wrong with it, each with its place in `config` */
export function problemsOf(layer: LayerType<any>, config: unknown, folder = '/'): string[] {
  return read(layer, config, folder).problems;
}

/** The layer that a configuration makes. */
export function layerOf(layer: LayerType<any>, config: unknown, isTrusted = () => false): HttpLayer {
  const { problems, values } = read(layer, config, '/');
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return layer.layer(values as never, { isTrusted });
}

function read({ keys, help, check }: LayerType<any>, config: unknown, folder: string) {
  const problems: string[] = [];
  const values = object(keys, { help }, check).read(
    config,
    new Place('', { folder, problems }).key('config'),
  );
  return { problems, values };
}
