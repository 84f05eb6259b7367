import type { Endpoint, Role, Target } from './endpoint.js';
import type { Program } from './program.js';

const listeners = (program: Program) => program.shared('listeners', (): Target[] => []);

/** Resolves the addresses of a program. @throws MPROXY_RESOLVE; the reason of `program.stopping` */
export function resolveTargets(program: Program, endpoints: Endpoint[], role: Role): Promise<Target[]> {
  return Promise.all(
    endpoints.map(async ({ type, address }) => {
      const opener = await type.load();
      const answers = (await opener.resolve?.(address, role, program.stopping)) ?? [];
      const target = { type, address, opener, answers };
      if (type.listens.includes(role)) listeners(program).push(target);
      return target;
    }),
  );
}

/** Whether a listener on [::] shares its port with one on 0.0.0.0 of the same program: then it takes no IPv4. */
export function isIPv6Only(
  program: Program,
  carries: 'datagrams' | 'stream',
  ip: string,
  port: number,
): boolean {
  if (ip !== '::') return false;
  const others = listeners(program).filter(({ type }) => type.carries === carries);
  return others.some(({ answers }) => answers.some((other) => other.ip === '0.0.0.0' && other.port === port));
}
