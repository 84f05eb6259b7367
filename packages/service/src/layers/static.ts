import { closeSync } from 'node:fs';
import { MproxyError, reason } from 'mproxy-base';
import { Fields } from 'mproxy-http/fields';
import { path, text } from '../config-keys.js';
import { type Place, wrong } from '../config-place.js';
import type { ValuesOf } from '../config-table.js';
import { answer } from '../http/answer.js';
import { type HttpRequest, HttpResponse, type HttpService } from '../http/message.js';
import { failedPrecondition, rangeHolds, type Validators } from '../static/conditions.js';
import { FileBody, type Part } from '../static/file-body.js';
import { fileNames } from '../static/file-path.js';
import { Folder, type OpenFile } from '../static/folder.js';
import { mediaType } from '../static/media-types.js';
import { contentRange, multipart } from '../static/multipart.js';
import { parseRange, type Range } from '../static/ranges.js';
import { layerType } from './layer-type.js';

const KEYS = {
  root: path({ required: true, help: 'the folder; the path of the request is put behind it' }),
  index: text(
    { default: 'index.html', expected: 'the name of a file', help: 'what is sent for a folder' },
    (given) => (/[/\\]|^\./.test(given) ? '' : undefined),
  ),
};

export const STATIC = layerType({
  type: 'static',
  help: 'Answers with files of a folder: regular files only, none whose name begins with a dot except in .well-known, none outside of the folder, no lists of files.',
  keys: KEYS,
  check: checkRoot,
  layer: (values) => () => staticFiles(values),
});

function checkRoot({ root }: ValuesOf<typeof KEYS>, place: Place): void {
  try {
    new Folder(root);
  } catch (error) {
    if (!(error instanceof MproxyError)) throw error;
    wrong(place.key('root'), root, 'a folder', reason(error.cause));
  }
}

export interface StaticOptions {
  root: string;
  /** Default: `index.html`. */
  index?: string;
}

/**
 * Answers GET and HEAD with the files of a folder, with ETag, preconditions and up to 16 ranges.
 * @throws MPROXY_FILE the root is no folder
 */
export function staticFiles({ root, index = 'index.html' }: StaticOptions): HttpService {
  return new StaticFiles(new Folder(root), index);
}

const NOT_FOUND = 'no such file';

class StaticFiles implements HttpService {
  constructor(
    private readonly folder: Folder,
    private readonly index: string,
  ) {}

  call(request: HttpRequest): HttpResponse {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(request, 405, 'method not allowed; allowed: GET, HEAD', { allow: 'GET, HEAD' });
    const names = request.path.startsWith('/') ? fileNames(request.path) : undefined;
    if (!names) return answer(request, 404, NOT_FOUND);
    const isFolder = names.at(-1) === '';
    if (isFolder) names[names.length - 1] = this.index;
    const file = this.folder.open(names);
    if (file === 'folder' && !isFolder) return this.#toFolder(request, names);
    if (file === undefined || file === 'folder') return answer(request, 404, NOT_FOUND);
    request.body?.cancel();
    return respond(request, file, mediaType(names.at(-1)!));
  }

  /** The relative links of an index begin at the folder: its path has to end with a slash. */
  #toFolder(request: HttpRequest, names: string[]): HttpResponse {
    const index = this.folder.open([...names, this.index]);
    if (index === undefined || index === 'folder') return answer(request, 404, NOT_FOUND);
    closeSync(index.fd);
    const { path, query } = request;
    // Relative, as a prefix may have been removed.
    const location = `./${path.slice(path.lastIndexOf('/') + 1)}/${query}`;
    return answer(request, 301, `redirected to ${location}`, { location });
  }
}

function respond(request: HttpRequest, { fd, stat }: OpenFile, type: string): HttpResponse {
  const { size, mtimeMs } = stat;
  const validators: Validators = {
    etag: `"${Math.round(mtimeMs * 1000).toString(16)}-${size.toString(16)}"`,
    modified: Math.floor(mtimeMs / 1000) * 1000,
  };
  const fields = Fields.of({
    etag: validators.etag,
    'last-modified': new Date(validators.modified).toUTCString(),
    'accept-ranges': 'bytes',
    'x-content-type-options': 'nosniff',
  });
  const failed = failedPrecondition(request.fields, validators);
  if (failed !== undefined) {
    closeSync(fd);
    return new HttpResponse(failed, fields, undefined);
  }
  const ranges = rangesOf(request, size, validators);
  if (ranges?.length === 0) {
    closeSync(fd);
    return answer(request, 416, 'range not satisfiable', { 'content-range': `bytes */${size}` });
  }
  return ranges ? partial(fields, fd, ranges, size, type) : whole(request, fields, fd, size, type);
}

/** Undefined: the whole file. */
function rangesOf(
  { method, fields }: HttpRequest,
  size: number,
  validators: Validators,
): Range[] | undefined {
  const range = method === 'GET' ? fields.get('range') : undefined;
  return range !== undefined && rangeHolds(fields, validators) ? parseRange(range, size) : undefined;
}

function whole(
  { method }: HttpRequest,
  fields: Fields,
  fd: number,
  size: number,
  type: string,
): HttpResponse {
  fields.append('content-type', type);
  if (method === 'GET')
    return new HttpResponse(200, fields, new FileBody(fd, size > 0 ? [{ start: 0, end: size }] : []));
  closeSync(fd);
  fields.append('content-length', String(size));
  return new HttpResponse(200, fields, undefined);
}

function partial(fields: Fields, fd: number, ranges: Range[], size: number, type: string): HttpResponse {
  const [first] = ranges;
  let parts: Part[] = ranges;
  if (ranges.length > 1) {
    const several = multipart(ranges, size, type);
    parts = several.parts;
    fields.append('content-type', several.type);
  } else {
    fields.append('content-type', type);
    fields.append('content-range', contentRange(first!, size));
  }
  return new HttpResponse(206, fields, new FileBody(fd, parts));
}
