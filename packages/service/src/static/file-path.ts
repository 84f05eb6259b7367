/** The folder of files that other programs find at fixed paths (RFC 8615). */
const WELL_KNOWN = '.well-known';

/**
 * The names of folders and file that a path means; the last is '' where it ends with a slash. Undefined: no file may have that path: a
 * segment is empty, begins with a dot, is not UTF-8, or has a slash or NUL when it is decoded.
 * @param path normalised
 * @param windows whether names follow the rules of Windows
 */
export function fileNames(path: string, windows = process.platform === 'win32'): string[] | undefined {
  const names: string[] = [];
  const segments = path.slice(1).split('/');
  for (const [i, segment] of segments.entries()) {
    const name = decoded(segment);
    if (name === undefined || (name === '' && i < segments.length - 1)) return undefined;
    if (name.startsWith('.') && name !== WELL_KNOWN) return undefined;
    if (name.includes('/') || name.includes('\0') || (windows && isReserved(name))) return undefined;
    names.push(name);
  }
  return names;
}

function decoded(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}

/** What Windows reads as something else than a name of a file: a stream of it, a device, a name with its end cut off. */
function isReserved(name: string): boolean {
  return /[<>:"\\|?*~]|[^ -\uffff]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name);
}
