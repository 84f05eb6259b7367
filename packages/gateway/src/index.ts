import { type Handle, startProgram } from 'mproxy-flow';
import { LOST } from 'mproxy-flow/events';
import { Gateway } from './gateway.js';
import { type GatewayOptions, readOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { GatewayConfig } from './config/types.js';
export type { GatewayOptions } from './options.js';

/** Serves HTTP: passes requests on to the services behind it, by host, path and method. */
export function startGateway(options: GatewayOptions, signal?: AbortSignal): Handle {
  let gateway: Gateway | undefined;
  const handle = startProgram(options, signal, async (program) => {
    const config = await readOptions(options);
    program.use(config.engine);
    const own = new Gateway(program, config, options.onNotice ?? (() => undefined));
    await own.open();
    gateway = own;
    program.onEnd(() => {
      const losses = own.losses();
      if (losses.length > 0) program.emit(LOST, { losses });
    });
  });
  // Requests are no datagrams: its route has no counters of its own.
  const stats = () => ({ routes: [], ...(gateway && { figures: gateway.figures() }) });
  const done = handle.done.then(stats);
  done.catch(() => undefined);
  return {
    ...handle,
    ...{ stats, done },
    losses: () => [...handle.losses(), ...(gateway?.losses() ?? [])],
    stop: () => {
      void handle.stop();
      return done;
    },
  };
}
