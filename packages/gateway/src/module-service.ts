import { pathToFileURL } from 'node:url';
import { MproxyError } from 'mproxy-base';
import type { HttpService } from 'mproxy-service/http/message';
import { importModule } from '#parts';

/** Whether the default export of a module is a service: an object with a method `call`. */
export function isService(exported: unknown): exported is HttpService {
  return typeof (exported as { call?: unknown } | null)?.call === 'function';
}

/**
 * Loads the service of a module into this thread. Each worker has one of its own.
 * @throws MPROXY_USAGE if its default export is no service; what the module throws
 */
export async function loadService(file: string): Promise<HttpService> {
  const { default: service } = await importModule(pathToFileURL(file).href);
  if (isService(service)) return service;
  throw new MproxyError('MPROXY_USAGE', `service: ${file}: its default export has no method call`);
}
