import type { Worker } from 'node:worker_threads';
import type { Handle, Program } from 'mproxy-flow';
import { LOST } from 'mproxy-flow/events';
import { startProgram } from 'mproxy-flow/start';
import { takeFirstThread } from './first-thread.js';
import type { Gateway } from './gateway.js';
import type { GatewayOptions } from './options.js';

export { MproxyError } from 'mproxy-base';
export type { Handle, Notice, Stats } from 'mproxy-flow';
export type { GatewayConfig } from './config/types.js';
export type { GatewayOptions } from './options.js';

/** Serves HTTP: passes requests on to the services behind it, by host, path and method. */
export function startGateway(options: GatewayOptions, signal?: AbortSignal): Handle {
  let gateway: Gateway | undefined;
  const handle = startProgram(options, signal, async (program) => {
    // It loads its modules while this thread loads others, and reads the configuration.
    const first = takeFirstThread();
    try {
      gateway = await open(program, options, first);
    } catch (error) {
      await first.terminate();
      throw error;
    }
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

async function open(program: Program, options: GatewayOptions, first: Worker): Promise<Gateway> {
  const { readOptions } = await import('./options.js');
  const { Gateway } = await import('./gateway.js');
  const config = await readOptions(options);
  program.use(config.engine);
  const gateway = new Gateway(program, config, options.onNotice ?? (() => undefined), first);
  await gateway.open();
  program.onEnd(() => {
    const losses = gateway.losses();
    if (losses.length > 0) program.emit(LOST, { losses });
  });
  return gateway;
}
