import { statSync } from 'node:fs';
import { type Place, wrong } from 'mproxy-service/config-place';
import { RouteTable } from 'mproxy-service/routing/route-table';
import { checkTls } from './check-tls.js';
import { listenersOf, type Read } from './listeners-of.js';

type Given = Readonly<Record<string, unknown>>;

/** Reports what is wrong between the values of keys. @param given the document itself */
export function checkGateway(values: Read, given: Given, document: Place): void {
  checkListeners(values, given, document);
  checkTargets(values, given, document);
  checkRoutes(values, document);
  checkTls(values, document);
  if (values.connectionTimeoutMs !== undefined && values.timeouts?.idle !== undefined)
    document.key('connection_timeout_ms').report('timeouts.idle says the same; give one of the two');
  const { protocols } = values;
  const areKnown = protocols && Array.isArray(given.protocols) && protocols.length === given.protocols.length;
  if (areKnown && !protocols.includes('http1'))
    wrong(document.key('protocols'), protocols, 'http1 among them');
}

function checkListeners(values: Read, given: Given, document: Place): void {
  if (given.host !== undefined && given.port === undefined)
    document.key('port').report('it is missing; expected an integer from 0 to 65535 beside host');
  const all = listenersOf(values, document);
  const isEmpty = all.length === 0 && isNothing(given.listen);
  if (isEmpty && given.host === undefined && given.port === undefined)
    document.report('there is no listener; give listen, or host and port');
  for (const [i, { place, text, at, proxyProtocol }] of all.entries()) {
    const first = all.find((one) => one.text === text)!;
    const isAny = at.kind === 'tcp' && at.port === 0;
    if (first !== all[i] && !isAny) document.reportAt(place, `${text}: ${first.place} listens there, too`);
    if (proxyProtocol && values.trustedProxies?.length === 0)
      document.reportAt(place, 'proxy_protocol needs trusted_proxies, and there are none');
  }
}

/** Requests go by routes, by the port that their host names, or to the service of a module. */
function checkTargets({ portEncoding, service }: Read, given: Given, document: Place): void {
  const { port_encoding: ports, service: named, routes } = given;
  if (ports === undefined && named === undefined && isNothing(routes))
    document.report('there is no route; give routes');
  if (portEncoding && !isNothing(routes))
    document.key('port_encoding').report('routes are not used with it; give one of the two');
  if (service === undefined) return;
  const place = document.key('service');
  if (!isNothing(routes)) place.report('routes are not used with it; give one of the two');
  else if (ports !== undefined) place.report('port_encoding is not used with it; give one of the two');
  else if (!isFile(service)) wrong(place, service, 'a file that can be read');
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isNothing(list: unknown): boolean {
  return list === undefined || (Array.isArray(list) && list.length === 0);
}

function checkRoutes({ routes = [] }: Read, document: Place): void {
  const whole = routes.filter(({ path }) => path !== undefined);
  const { problems } = new RouteTable(whole.map((route) => ({ ...route, value: undefined })));
  for (const { place, text } of problems) document.reportAt(place, text);
}
