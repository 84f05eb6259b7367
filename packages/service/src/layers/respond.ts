import { Fields } from 'mproxy-http';
import { integer, text } from '../config-keys.js';
import type { ValuesOf } from '../config-table.js';
import { BytesBody } from '../http/body.js';
import { type HttpRequest, HttpResponse, type HttpService } from '../http/message.js';
import { fieldMap } from './field-keys.js';
import { layerType } from './layer-type.js';

const KEYS = {
  status: integer(200, 599, { default: 200, help: 'status of the response' }),
  body: text({ orFile: true, help: 'its body, in UTF-8; default: none' }),
  contentType: text({
    default: 'text/plain; charset=utf-8',
    help: 'media type of the body, unless `headers` has Content-Type',
  }),
  headers: fieldMap({ help: 'further fields of the response' }),
};

export const RESPOND = layerType({
  type: 'respond',
  help: 'Answers all requests with the same response.',
  keys: KEYS,
  check({ status, body }, place) {
    if (body !== undefined && [204, 205, 304].includes(status))
      place.key('body').report(`a response with status ${status} has none`);
  },
  layer: (values) => () => respond(values),
});

/** Answers all requests with the same response. @throws RangeError a name or value that no field may have */
export function respond({
  status = 200,
  body,
  contentType = 'text/plain; charset=utf-8',
  headers = {},
}: Partial<ValuesOf<typeof KEYS>> = {}): HttpService {
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const fields = Fields.of(headers);
  if (bytes && !fields.has('content-type')) fields.append('content-type', contentType);
  const lines = Buffer.alloc(fields.size);
  fields.write(lines, 0);
  return { call: (request) => respondTo(request, status, lines, bytes) };
}

function respondTo(
  request: HttpRequest,
  status: number,
  lines: Buffer,
  bytes: Buffer | undefined,
): HttpResponse {
  request.body?.cancel();
  const fields = new Fields();
  fields.appendLines(lines);
  return new HttpResponse(status, fields, bytes && new BytesBody(bytes));
}
