/** An element of Via (RFC 9110, section 7.6.3). @param version in which the message was received */
export function viaElement(version: string, name = 'mproxy'): string {
  return `${version} ${name}`;
}
