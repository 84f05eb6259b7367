import { type HttpRequest, HttpResponse } from './message.js';

/**
 * The response of a service that wants no request body: the body is given up.
 * @param text one line without its newline, in UTF-8
 */
export function answer(
  request: HttpRequest,
  status: number,
  text: string,
  fields?: Record<string, string>,
): HttpResponse {
  request.body?.cancel();
  return HttpResponse.text(status, `${text}\n`, fields);
}
