import { type Place, wrong } from 'mproxy-service/config-place';

export const METHOD = 'a method like GET';
export const PROTOCOL = 'the name of a protocol, other than websocket and h2c';
export const HOST = 'a host name, or one like *.example.com';
export const SUFFIX = 'a domain like localhost';

/** Letters, digits, - and _ between dots (RFC 1123, 2.1, and what is in common use). */
const NAME = /^[\w-]+(?:\.[\w-]+)*$/;
const NAME_LENGTH = 253;

/** What follows the port in the hosts of port encoding: lower case, without dots at its ends. */
export function readSuffix(text: string, place: Place): string | undefined {
  const name = text.toLowerCase().replace(/^\.|\.$/g, '');
  return NAME.test(name) && name.length <= NAME_LENGTH ? name : wrong(place, text, SUFFIX);
}

/** The name of a protocol (RFC 9110, 7.8), in lower case. HTTP/2 by Upgrade would pass requests unchecked. */
export function readProtocol(text: string, place: Place): string | undefined {
  const name = text.toLowerCase();
  const isName = /^[\w!#$%&'*+.^`|~-]+$/.test(name);
  if (isName && name !== 'h2c' && name !== 'websocket') return name;
  const why = name === 'h2c' ? 'requests in it would not be looked at' : undefined;
  return wrong(place, text, PROTOCOL, why);
}

/** A host of a certificate, or `*.` and a domain: lower case, without a dot at its end. */
export function readHost(text: string, place: Place): string | undefined {
  const name = text.toLowerCase().replace(/\.$/, '');
  return NAME.test(name.replace(/^\*\./, '')) && name.length <= NAME_LENGTH ? name : wrong(place, text, HOST);
}

/** Methods are case-sensitive tokens (RFC 9110, 9.1); those of the standards are upper case. */
export function readMethod(text: string, place: Place): string | undefined {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(text)) return wrong(place, text, METHOD);
  if (text !== text.toUpperCase())
    return wrong(place, text, text.toUpperCase(), 'methods are case-sensitive');
  if (text === 'CONNECT' || text === 'TRACE')
    return wrong(place, text, METHOD, 'CONNECT and TRACE are answered with 405');
  return text;
}
